// [monitoring]: nobody is told by default; secrets come from files, are never shown, and a password goes nowhere in the clear.
import { inspect } from 'node:util';
import t from 'tap';
import { waysToTell } from '../../src/config/monitoring-files.js';
import { confFolder } from './conf-folder.js';

const marker = 'Zq7MARKERpk3Lx9Qv7Tz1';

t.test('by default nobody is told', async (t) => {
  const { monitoring } = await (await confFolder(t)).load();
  t.same(waysToTell(monitoring), []);
  t.match(monitoring, {
    smtpHost: undefined,
    smtpPort: 25,
    smtpTls: 'required',
    webhooks: false,
    smtpPassword: undefined,
    gatherSeconds: 10,
    pauseSeconds: 60,
    giveUpHours: 24,
  });
  t.same(monitoring.webhookSecrets, {});
});

t.test('all of it, with its files', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml': `[monitoring]
smtp_host = "mail.example"
smtp_port = 587
smtp_user = "sluice"
smtp_password_file = "secrets/mail"
smtp_ca_file = "ca.pem"
mail_from = "sluice@provider.example"
webhooks = true
webhook_secrets = { noc = "secrets/noc", noc_two = "\${CREDENTIALS_DIRECTORY}/two" }
`,
    'conf/secrets/mail': `${marker} with blanks \r\nand more`,
    'conf/secrets/noc': `${marker}-noc\n`,
    'conf/ca.pem': '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n',
    'credentials/two': `${marker}-two`,
  });
  const { loadConfig } = await import('../../src/config/load-config.js');
  const config = await loadConfig({
    ...folder.options,
    environment: { CREDENTIALS_DIRECTORY: `${folder.root}/credentials` },
  });
  const { monitoring } = config;
  t.same(waysToTell(monitoring), ['mail', 'webhook']);
  t.equal(monitoring.smtpPassword?.text(), `${marker} with blanks `, 'the first line, as it stands');
  t.match(monitoring.smtpCa, /^-----BEGIN CERTIFICATE-----\nMII=\n/u);
  t.same(Object.keys(monitoring.webhookSecrets), ['noc', 'noc_two'], 'names stay as they are written');
  t.equal(monitoring.webhookSecrets['noc_two']?.text(), `${marker}-two`);
  for (const shown of [inspect(config, { depth: null }), JSON.stringify(config), String(config)])
    t.notMatch(shown, marker, 'no secret is shown');
  t.same(config.warnings, []);
});

t.test('what is wrong is told with its key and a remedy', async (t) => {
  const mail = 'smtp_host = "mail.example"\nmail_from = "a@b.example"\n';
  const table: [section: string, key: string, problem: RegExp][] = [
    ['smtp_host = "mail.example"', 'monitoring.smtp_host', /no mail_from/u],
    [`${mail}smtp_user = "a"`, 'monitoring.smtp_user', /no smtp_password_file/u],
    [`${mail}smtp_password_file = "secrets/good"`, 'monitoring.smtp_password_file', /no smtp_user/u],
    [
      `${mail}smtp_tls = "off"\nsmtp_user = "a"\nsmtp_password_file = "secrets/good"`,
      'monitoring.smtp_tls',
      /in the clear/u,
    ],
    [`${mail}smtp_user = "a"\nsmtp_password_file = "secrets/none"`, 'monitoring.smtp_password_file', /does not exist/u],
    [`${mail}smtp_user = "a"\nsmtp_password_file = "secrets/empty"`, 'monitoring.smtp_password_file', /is empty/u],
    [`${mail}smtp_ca_file = "none.pem"`, 'monitoring.smtp_ca_file', /does not exist/u],
    [`${mail}smtp_tls = "maybe"`, 'monitoring.smtp_tls', /./u],
    ['smtp_host = "mail.example"\nmail_from = "a@b\\r\\nBcc: x@y"', 'monitoring.mail_from', /not a mail address/u],
    ['mail_from = "Sluice <a@b>"', 'monitoring.mail_from', /not a mail address/u],
    ['smtp_host = "mail.example:25"', 'monitoring.smtp_host', /not the name of a host/u],
    ['smtp_host = "mail example"', 'monitoring.smtp_host', /not the name of a host/u],
    ['smtp_timeout_ms = 10', 'monitoring.smtp_timeout_ms', /1000/u],
    ['webhook_secrets = { "../x" = "secrets/good" }', 'monitoring.webhook_secrets', /./u],
    ['webhook_secrets = { noc = "secrets/none" }', 'monitoring.webhook_secrets', /does not exist/u],
    ['webhook_secrets = { noc = "secrets/short" }', 'monitoring.webhook_secrets', /octets long/u],
    ['webhook = true', 'monitoring.webhook', /./u],
  ];
  for (const [section, key, problem] of table) {
    const folder = await confFolder(t, {
      'conf/sluice.toml': `[monitoring]\n${section}\n`,
      'conf/secrets/good': marker,
      'conf/secrets/empty': '',
      'conf/secrets/short': 'abc',
    });
    const problems = await folder.problems();
    const told = problems.find((one) => one.key.startsWith(key));
    t.match(told, { file: 'conf/sluice.toml', problem, remedy: /.{5}/u }, `${section}\n${JSON.stringify(problems)}`);
    t.notMatch(JSON.stringify(problems), marker);
  }
});

t.test('without TLS to a relay on this host, with a password even', async (t) => {
  for (const host of ['localhost', '127.0.0.1', '::1']) {
    const folder = await confFolder(t, {
      'conf/sluice.toml': `[monitoring]\nsmtp_host = "${host}"\nmail_from = "a@b"\nsmtp_tls = "off"\nsmtp_user = "a"\nsmtp_password_file = "p"\n`,
      'conf/p': marker,
    });
    t.match((await folder.load()).monitoring, { smtpHost: host });
  }
});
