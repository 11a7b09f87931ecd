// Dictionary files: the usual format, errors with file and line, and the files that are shipped.

import t, { type Test } from 'tap';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AcctStatusType,
  AdslForumAttribute,
  Attribute,
  CiscoAttribute,
  ErxAttribute,
  MicrosoftAttribute,
  RedbackAttribute,
  Vendor,
} from '../../src/radius/attribute-number.js';
import { DictionaryError, loadDictionary } from '../../src/radius/dictionary-file.js';
import { thrown } from './thrown.js';

const shipped = join(dirname(fileURLToPath(import.meta.url)), '../../dictionaries');

/** Writes files into a folder of the test and returns the path of the first. */
function files(t: Test, contents: Record<string, string>): string {
  const folder = t.testdir();
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return join(folder, Object.keys(contents)[0]!);
}

t.test('the shipped dictionary', (t) => {
  const { dictionary, warnings } = loadDictionary(join(shipped, 'dictionary'));
  t.same(warnings, []);
  const kebab = (name: string): string => name.replaceAll('-', '').toLowerCase();
  for (const [vendor, numbers, prefix] of [
    [0, Attribute, ''],
    [Vendor.microsoft, MicrosoftAttribute, 'ms'],
    [Vendor.adslForum, AdslForumAttribute, 'adsl'],
    [Vendor.cisco, CiscoAttribute, 'cisco'],
    [Vendor.redback, RedbackAttribute, ''],
    [Vendor.erx, ErxAttribute, 'erx'],
  ] as const)
    for (const [name, number] of Object.entries(numbers)) {
      const found = kebab(dictionary.attributeByNumber(vendor, number)?.name ?? '?');
      t.equal(found, prefix + name.toLowerCase(), `${vendor}/${number} is ${name}`);
    }
  for (const [name, number] of Object.entries(AcctStatusType)) {
    const named = dictionary.valueName(dictionary.attribute('Acct-Status-Type')!, number);
    t.equal(kebab(named ?? '?'), name.toLowerCase());
  }
  for (const [vendor, number] of [
    ['Cisco', 9],
    ['Microsoft', 311],
    ['Redback', 2352],
    ['ADSL-Forum', 3561],
    ['ERX', 4874],
    ['WISPr', 14122],
    ['Mikrotik', 14988],
  ] as const)
    t.equal(dictionary.vendor(vendor)?.number, number);
  t.match(dictionary.attribute('mikrotik-rate-limit'), { vendor: 14988, path: [8], type: 'string' });
  t.match(dictionary.attribute('Tunnel-Password'), { path: [69], hasTag: true, encryption: 2 });
  t.match(dictionary.attribute('User-Password'), { encryption: 1 });
  t.match(dictionary.attribute('MS-MPPE-Send-Key'), { vendor: 311, encryption: 2 });
  const serviceType = dictionary.attribute('Service-Type')!;
  t.equal(dictionary.valueNumber(serviceType, 'framed'), 2);
  t.equal(dictionary.valueName(serviceType, 2), 'Framed-User');
  for (const file of readdirSync(shipped))
    t.ok(file === 'dictionary' || dictionary.size > 0, `${file} is text that loads`);
  t.end();
});

t.test('every form of line', (t) => {
  const { dictionary, warnings } = loadDictionary(
    files(t, {
      top: [
        '# a comment',
        '',
        'VENDOR  Acme  32473  # the number for documentation',
        'VENDOR\tWide\t429\tformat=4,0',
        'VENDOR Frag 24757 format=1,1,c',
        '$INCLUDE sub/acme',
        'ATTRIBUTE Plain 0x10 integer',
        'ATTRIBUTE Octal 0o21 integer',
        'ATTRIBUTE Padded 018 integer',
        'ATTRIBUTE Flags 19 string has_tag,encrypt=2',
        'ATTRIBUTE Separate 20 string has_tag encrypt=2',
        'ATTRIBUTE Fixed 21 octets[8] array',
        'ATTRIBUTE Odd 22 string sparkling',
        'ATTRIBUTE Inline 5 string Acme',
        'VALUE Plain Ten 0x0a',
        'VALUE Plain Negative -1',
        'VALUE Later Yes 1',
        'VALUE Never Yes 1',
        'ATTRIBUTE Later 23 byte',
        '$INCLUDE- sub/absent',
        'ATTRIBUTE Block 24 tlv',
        'BEGIN-TLV Block',
        'ATTRIBUTE Block-One 1 integer',
        'ATTRIBUTE Block-Inner 2 tlv',
        'BEGIN-TLV Block-Inner',
        'ATTRIBUTE Block-Inner-One 1 string',
        'END-TLV Block-Inner',
        'END-TLV Block',
        'ATTRIBUTE Block-Three 24.3 ipaddr',
        'ATTRIBUTE Extended 241 extended',
        'ATTRIBUTE Extended-One 241.1 integer',
        'ATTRIBUTE Carrier 241.26 evs',
        'BEGIN-VENDOR Acme format=Carrier',
        'ATTRIBUTE Carried 1 string',
        'END-VENDOR Acme',
      ].join('\r\n'),
      'sub/acme': 'BEGIN-VENDOR Acme\nATTRIBUTE Acme-Speed 1 uint32\n$INCLUDE more\nEND-VENDOR acme\n',
      'sub/more': 'ATTRIBUTE Wide-Open 2 text\n',
    }),
  );
  const attribute = (name: string) => dictionary.attribute(name);
  t.match(attribute('Plain'), { path: [16] });
  t.match(attribute('Octal'), { path: [17] });
  t.match(attribute('Padded'), { path: [18] });
  t.match(attribute('Flags'), { hasTag: true, encryption: 2 });
  t.match(attribute('Separate'), { hasTag: true, encryption: 2 });
  t.match(attribute('Fixed'), { fixedOctets: 8, isArray: true });
  t.match(attribute('Inline'), { vendor: 32473, path: [5] });
  t.match(attribute('Acme-Speed'), { vendor: 32473, path: [1], type: 'integer' });
  t.match(attribute('Wide-Open'), { vendor: 0, path: [2], type: 'string' }, 'a BEGIN-VENDOR ends with its file');
  t.match(attribute('Block-One'), { path: [24, 1] });
  t.match(attribute('Block-Inner-One'), { path: [24, 2, 1] });
  t.match(attribute('Block-Three'), { path: [24, 3] });
  t.match(attribute('Extended-One'), { path: [241, 1], isExtended: true });
  t.match(attribute('Carried'), { vendor: 32473, path: [241, 26, 1], isExtended: true });
  t.equal(dictionary.valueNumber(attribute('plain')!, 'TEN'), 10);
  t.equal(dictionary.valueName(attribute('Later')!, 1), 'Yes');
  t.same(dictionary.vendorFormat(429), { typeOctets: 4, lengthOctets: 0, continuation: false });
  t.same(dictionary.vendorFormat(24757), { typeOctets: 1, lengthOctets: 1, continuation: true });
  t.equal(warnings.length, 2);
  t.match(warnings[0], /top:13: flag sparkling/);
  t.match(warnings[1], /top:18: VALUE for an unknown attribute Never/);
  t.end();
});

t.test('errors name file and line', (t) => {
  for (const [content, line, problem] of [
    ['WHAT x', 1, /unknown keyword/],
    ['\n\nATTRIBUTE', 3, /needs a name/],
    ['ATTRIBUTE A', 1, /words after/],
    ['ATTRIBUTE A x string', 1, /not an attribute number/],
    ['ATTRIBUTE A 1 strin', 1, /unknown type/],
    ['ATTRIBUTE A -1 string', 1, /not an attribute number/],
    ['ATTRIBUTE A 1.2.3.4.5.6.7.8 string', 1, /levels/],
    ['VALUE A B c', 1, /not a number/],
    ['VENDOR V 0', 1, /vendor number/],
    ['VENDOR V 16777216', 1, /vendor number/],
    ['VENDOR V 1 format=3,1', 1, /format=t,l/],
    ['BEGIN-VENDOR V', 1, /no VENDOR line/],
    ['VENDOR V 1\nBEGIN-VENDOR V\n', 0, /before END-VENDOR V/],
    ['VENDOR V 1\nEND-VENDOR V', 2, /without a beginning/],
    ['VENDOR V 1\nVENDOR W 2\nBEGIN-VENDOR V\nEND-VENDOR W', 4, /where END-VENDOR V is due/],
    ['ATTRIBUTE A 1 string\nBEGIN-TLV A', 2, /not an attribute of type tlv/],
    ['VENDOR V 1\nATTRIBUTE A 1 string\nBEGIN-VENDOR V format=A', 3, /carries no vendor/],
    ['$INCLUDE absent', 1, /no such file/],
    ['$INCLUDE top', 1, /includes itself/],
    ['$INCLUDE ../outside', 1, /outside|no such file/],
    ['$INCLUDE /etc/passwd', 1, /outside/],
    ['$INCLUDE .', 1, /not a file/],
  ] as const) {
    const top = files(t, { top: content });
    try {
      loadDictionary(top);
      t.fail(content);
    } catch (error) {
      if (!(error instanceof DictionaryError)) throw error;
      t.match(error.problem, problem, JSON.stringify(content));
      t.equal(error.line, line);
      t.equal(error.file, top);
      t.ok(error.message.startsWith(`${top}:${line}: `));
    }
  }
  t.end();
});

t.test('an error in an included file names that file', (t) => {
  const top = files(t, { top: '\n$INCLUDE other', other: 'ATTRIBUTE A 1 string\nATTRIBUTE B 2 what' });
  t.match(
    thrown(() => loadDictionary(top)),
    { file: join(dirname(top), 'other'), line: 2 },
  );
  t.end();
});

t.test('cycles over several files, links that lead outside, and files without end', (t) => {
  t.match(
    thrown(() => loadDictionary(files(t, { a: '$INCLUDE b', b: '$INCLUDE a' }))),
    { problem: /includes itself/ },
  );
  const top = files(t, { top: '$INCLUDE link' });
  symlinkSync('/etc/passwd', join(dirname(top), 'link'));
  t.match(
    thrown(() => loadDictionary(top)),
    { problem: /outside/ },
  );
  t.equal(
    loadDictionary(files(t, { a: '$INCLUDE b\n$INCLUDE b', b: 'ATTRIBUTE A 1 string' })).dictionary.size,
    1,
    'twice is no cycle',
  );
  t.end();
});

t.test("an operator's own file after ours", (t) => {
  const own = files(t, { own: 'VENDOR Acme 32473\nVALUE Service-Type Own 99\nATTRIBUTE User-Name 1 octets' });
  const { dictionary } = loadDictionary([join(shipped, 'dictionary'), own]);
  t.equal(dictionary.valueNumber(dictionary.attribute('Service-Type')!, 'Own'), 99);
  t.equal(dictionary.attribute('User-Name')?.type, 'octets', 'the later definition counts');
  t.end();
});

t.test('the dictionaries that Debian ships for FreeRADIUS, where they are installed', (t) => {
  const folder = process.env['FREERADIUS_DICTIONARIES'] ?? '/usr/share/freeradius';
  if (!existsSync(join(folder, 'dictionary'))) {
    t.pass(`${folder} is not here: nothing was compared`);
    return t.end();
  }
  const whole = loadDictionary(join(folder, 'dictionary'));
  t.ok(whole.dictionary.size > 5_000);
  const refused = readdirSync(folder).filter((file) => {
    try {
      loadDictionary(join(folder, file));
      return false;
    } catch (error) {
      t.comment(String(error));
      return true;
    }
  });
  // This one speaks of a vendor that another file names, so it is read after that one only.
  t.same(refused, ['dictionary.freeradius.evs5']);
  const rest = ['dictionary', 'dictionary.freeradius.evs5'].map((file) => join(folder, file));
  t.ok(loadDictionary(rest).dictionary.attribute('FreeRADIUS-802.1X-Anonce')?.isExtended);
  t.end();
});
