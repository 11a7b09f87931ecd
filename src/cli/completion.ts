/**
 * `completion`: what a shell completes after `sluice`.
 *
 * Enters: the tree of commands. Leaves: a script for bash, zsh or fish.
 * Invariant: made of the same tree that parses the command line, so it knows every command and option and no other; names are
 * quoted, so no description can be run by the shell.
 */
import type { Command, Option } from 'commander';

/** Shells that there is a script for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** A place in the tree: the words that lead there and what may follow. */
interface Place {
  /** `subscriber add`; empty at the top. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly flag: string; readonly takesValue: boolean; readonly description: string }[];
}

/** The script for a shell, to be sourced. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '', []);
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](places);
}

function placesOf(command: Command, path: string, inherited: readonly Option[]): Place[] {
  const own = command.createHelp().visibleOptions(command);
  const options = [...own, ...inherited.filter((option) => !own.some((one) => one.long === option.long))];
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  const place: Place = {
    path,
    commands: below.map((one) => ({ name: one.name(), description: one.description() })),
    options: options.flatMap((option) =>
      option.long === undefined || option.long === null
        ? []
        : [{ flag: option.long, takesValue: option.required || option.optional, description: option.description }],
    ),
  };
  const globals = path === '' ? own.filter((option) => option.long !== '--help') : inherited;
  return [place, ...below.flatMap((one) => placesOf(one, path === '' ? one.name() : `${path} ${one.name()}`, globals))];
}

/** Options whose value is one of the next word: the walk through the words must step over it. */
function valueFlags(places: readonly Place[]): string[] {
  return [
    ...new Set(places.flatMap(({ options }) => options.filter((one) => one.takesValue).map((one) => one.flag))),
  ].sort();
}

// The same walk in each shell: words that are commands lead further down, options and their values are stepped over.
function bashScript(places: readonly Place[]): string {
  const flags = valueFlags(places).join('|');
  const cases = places.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)].join(' ');
    return `    ${quoted(path)}) words=${quoted(words)} below=${quoted(` ${commands.map(({ name }) => name).join(' ')} `)} ;;`;
  });
  return `# bash completion for sluice; use it with: source <(sluice completion bash)
_sluice_words() {
  case "$1" in
${cases.join('\n')}
    *) words='' below=' ' ;;
  esac
}
_sluice() {
  local path='' words below word index
  _sluice_words "$path"
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    case "$word" in
      ${flags}) ((index++)) ;;
      -*) ;;
      *)
        if [[ $below == *" $word "* ]]; then
          path="\${path:+$path }$word"
          _sluice_words "$path"
        fi
        ;;
    esac
  done
  COMPREPLY=()
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
    ${flags}) return ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _sluice sluice
`;
}

function zshScript(places: readonly Place[]): string {
  const flags = valueFlags(places).join('|');
  const cases = places.map(({ path, commands, options }) => {
    const described = [
      ...commands.map(({ name, description }) => `${name}:${description}`),
      ...options.map(({ flag, description }) => `${flag}:${description}`),
    ];
    return `    ${quoted(path)}) words_here=(${described.map(quoted).join(' ')}) below=${quoted(` ${commands.map(({ name }) => name).join(' ')} `)} ;;`;
  });
  return `#compdef sluice
# zsh completion for sluice; use it with: source <(sluice completion zsh)
_sluice_words() {
  case "$1" in
${cases.join('\n')}
    *) words_here=() below=' ' ;;
  esac
}
_sluice() {
  local place='' below word
  local -a words_here
  local -i index
  _sluice_words "$place"
  for ((index = 2; index < CURRENT; index++)); do
    word=\${words[index]}
    case "$word" in
      ${flags}) ((index++)) ;;
      -*) ;;
      *)
        if [[ $below == *" $word "* ]]; then
          place="\${place:+$place }$word"
          _sluice_words "$place"
        fi
        ;;
    esac
  done
  case "\${words[CURRENT - 1]}" in
    ${flags}) _files; return ;;
  esac
  _describe sluice words_here || _files
}
compdef _sluice sluice
`;
}

function fishScript(places: readonly Place[]): string {
  const flags = valueFlags(places).map(quotedForFish).join(' ');
  const below = places
    .filter(({ commands }) => commands.length > 0)
    .map(
      ({ path, commands }) =>
        `    case ${quotedForFish(path)}\n      echo ${commands.map(({ name }) => quotedForFish(name)).join(' ')}`,
    );
  const rules = places.flatMap(({ path, commands, options }) => {
    // fish joins what follows -n and runs it: the path is quoted within the quotes.
    const here = `complete -c sluice -n ${quotedForFish(`__sluice_is_at ${quotedForFish(path)}`)}`;
    return [
      ...commands.map(
        ({ name, description }) => `${here} -f -a ${quotedForFish(name)} -d ${quotedForFish(description)}`,
      ),
      ...options.map(
        ({ flag, takesValue, description }) =>
          `${here} -l ${quotedForFish(flag.slice(2))}${takesValue ? ' -r' : ''} -d ${quotedForFish(description)}`,
      ),
    ];
  });
  return `# fish completion for sluice; use it with: sluice completion fish | source
function __sluice_below
  switch "$argv"
${below.join('\n')}
  end
end
function __sluice_is_at
  set -l place ''
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
    else if contains -- $word ${flags}
      set skip 1
    else if contains -- $word (string split ' ' (__sluice_below $place))
      set place (string trim "$place $word")
    end
  end
  test "$place" = "$argv"
end
${rules.join('\n')}
`;
}

/** Within single quotes fish knows two escapes: of the quote and of the backslash. */
function quotedForFish(text: string): string {
  return `'${text.replace(/[\\']/gu, '\\$&')}'`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
