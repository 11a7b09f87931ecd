/**
 * A mail server for tests: `smtp-server`, which speaks SMTP as providers' servers do. Enters: what it asks for and what it refuses. Leaves: the
 * messages that it took, as they came over the wire. Invariant: gone at the end of its test.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Test } from 'tap';
import { selfSigned } from './self-signed.js';

/** A message as the server took it. */
export interface TakenMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Who logged in. */
  readonly user: string | undefined;
  readonly isEncrypted: boolean;
  /** Names in lower case, values unfolded; of several headers of a name all. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly subject: string;
  readonly text: string;
}

export interface MailServerOptions {
  /** `starttls`: offered; `implicit`: from the first octet; `none`: it cannot. */
  readonly tls?: 'starttls' | 'implicit' | 'none';
  readonly login?: { readonly user: string; readonly password: string };
  /** The code that a recipient is refused with; undefined: taken. */
  readonly refuse?: (recipient: string) => number | undefined;
}

export interface MailServer {
  readonly port: number;
  /** What vouches for it. */
  readonly ca: string;
  readonly taken: TakenMail[];
  /** Sessions that were begun. */
  readonly connections: () => number;
}

/** Starts one on loopback. */
export async function mailServer(t: Pick<Test, 'teardown'>, options: MailServerOptions = {}): Promise<MailServer> {
  const { tls = 'starttls', login, refuse } = options;
  const { key, cert } = selfSigned();
  const taken: TakenMail[] = [];
  let connections = 0;
  const server = new SMTPServer({
    key,
    cert,
    secure: tls === 'implicit',
    disabledCommands: [...(tls === 'none' ? ['STARTTLS'] : []), ...(login === undefined ? ['AUTH'] : [])],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    onConnect: (_session, done) => {
      connections += 1;
      done();
    },
    onAuth: (given, _session, done) => {
      if (given.username === login?.user && given.password === login?.password) done(null, { user: login!.user });
      else done(new Error('wrong user or password'));
    },
    onRcptTo: (address, _session, done) => {
      const code = refuse?.(address.address);
      done(code === undefined ? null : Object.assign(new Error('not here'), { responseCode: code }));
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        taken.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          user: session.user,
          isEncrypted: session.secure,
          ...readMail(Buffer.concat(chunks).toString('latin1')),
        });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  t.teardown(() => new Promise<void>((resolve) => void server.close(resolve)));
  return { port: (server.server.address() as AddressInfo).port, ca: cert, taken, connections: () => connections };
}

function readMail(raw: string): Pick<TakenMail, 'headers' | 'subject' | 'text'> {
  const end = raw.indexOf('\r\n\r\n');
  const headers = new Map<string, string[]>();
  for (const line of raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/gu, ' ')
    .split('\r\n')) {
    const at = line.indexOf(':');
    const name = line.slice(0, at).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(at + 1).trim()]);
  }
  const encoding = headers.get('content-transfer-encoding')?.[0];
  const body = raw.slice(end + 4);
  const octets = encoding === 'base64' ? Buffer.from(body, 'base64') : Buffer.from(unquoted(body, encoding), 'latin1');
  return {
    headers,
    subject: decodedWords(headers.get('subject')?.[0] ?? ''),
    text: octets.toString('utf8').replaceAll('\r\n', '\n'),
  };
}

/** Quoted-printable (RFC 2045 §6.7), where the body is. */
function unquoted(text: string, encoding = 'quoted-printable'): string {
  if (encoding !== 'quoted-printable') return text;
  return text
    .replace(/=\r\n/gu, '')
    .replace(/=([0-9A-F]{2})/gu, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** Encoded words of a header (RFC 2047). */
function decodedWords(text: string): string {
  const word = /=\?utf-8\?([qb])\?([^?]*)\?=(?:\s+(?==\?))?/giu;
  return text.replace(word, (_, kind: string, body: string) =>
    (kind.toLowerCase() === 'b'
      ? Buffer.from(body, 'base64')
      : Buffer.from(unquoted(body.replaceAll('_', ' ')), 'latin1')
    ).toString('utf8'),
  );
}
