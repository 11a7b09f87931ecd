// Values that somebody would choose to break a command line. Enters: a random source. Leaves: texts. Invariant: one seed, the same texts, and every
// character that any of our dialects reads as more than itself is among them.

/** Pieces that mean something to a shell, to RouterOS, to IOS, or to whoever reads the output. */
const pieces: readonly string[] = [
  ...[
    '"',
    "'",
    '\\',
    '`',
    '$',
    ';',
    '|',
    '&',
    '<',
    '>',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '#',
    '!',
    '?',
    '*',
    '~',
    '%',
    '^',
    '=',
    ',',
  ],
  ...[
    ' ',
    '\t',
    '\n',
    '\r',
    '\r\n',
    '\u0000',
    '\u0003',
    '\u001a',
    '\u0016',
    '\u001b',
    '\u001b[2J',
    '\u007f',
    '\u0085',
    '\u009b',
  ],
  ...['$(reboot)', '`reboot`', '${IFS}', "'; reboot; '", '"; /system reboot; "', '"; /system reset-configuration; #'],
  ...[
    '\\"',
    "\\'",
    '\\\\',
    '\\0A',
    '\\$',
    "$'\\x27'",
    "'\\''",
    '" . [/system reboot] . "',
    '[/user add]',
    '$[/system reboot]',
  ],
  ...[
    '\nreload\n',
    '\nconfigure terminal\n',
    '--help',
    '-rf',
    '&&reboot',
    '||reboot',
    '<<EOF',
    '$((1))',
    '\u2028',
    'EOF',
  ],
  ...['иванов', 'é', '😀', '\ud800', '\udc00', '‮', 'a', 'Z', '7', '.', '_', '-', ':', '@', '/', '+'],
];

/** One hostile value. */
export function hostileValue(random: () => number): string {
  const count = 1 + Math.floor(random() * 8);
  let value = '';
  for (let one = 0; one < count; one += 1) value += pieces[Math.floor(random() * pieces.length)] ?? '';
  // Some are long, a few too long.
  return random() < 0.01 ? value.repeat(1 + Math.floor(random() * 600)) : value;
}

/** Many of them, each piece by itself first. */
export function hostileValues(count: number, random: () => number): string[] {
  return Array.from({ length: count }, (_, index) => pieces[index] ?? hostileValue(random));
}
