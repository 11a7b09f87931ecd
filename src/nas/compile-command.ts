/**
 * The commands of a profile, made fit for use.
 *
 * Enters: command rules as read, an encoder.
 * Leaves: compiled steps; what is wrong with them, each with file, line, key and remedy.
 * Invariant: a step that was compiled can be carried out as far as its text goes: attributes are in the dictionary, variables are
 * known, every line is one that its dialect can carry.
 */
import type { Profile, ProfileCommandName, ProfileCommandRule, ProfileStep } from '../config/config.js';
import type { ConfigProblem } from '../config/problem.js';
import type { AttributeEncoder } from './attribute-encoder.js';
import { compileCommandTemplate } from './command-template.js';
import type { CommandTemplate, Dialect } from './command-template.js';
import { compileAttribute } from './compile-attribute.js';
import type { CompiledAttribute } from './compile-attribute.js';
import type { CompiledCommand, CompiledCommands, CompiledStep } from './step.js';

/**
 * Compiles all commands of a profile.
 *
 * @param problems what is wrong is added here
 * @returns the commands that could be compiled
 */
export function compileCommands(
  profile: Profile,
  encoder: AttributeEncoder,
  problems: ConfigProblem[],
): CompiledCommands {
  checkSshSection(profile, problems);
  const commands = new Map<ProfileCommandName, CompiledCommand>();
  for (const [name, rule] of Object.entries(profile.commands) as [ProfileCommandName, ProfileCommandRule][]) {
    const steps = (list: 'steps' | 'fallback'): CompiledStep[] =>
      rule[list].flatMap((step, index) =>
        compileStep(profile, `command.${name}.${list}[${index}]`, step, encoder, problems),
      );
    const key = `command.${name}`;
    const wrong = (problem: string, remedy: string): number =>
      problems.push({ file: profile.file, line: rule.line, key, problem, remedy });
    if (rule.notApplicable === undefined && rule.steps.length === 0)
      wrong('does nothing', 'write its steps, or in not_applicable why there is nothing to do');
    if (rule.notApplicable !== undefined && rule.steps.length + rule.fallback.length > 0)
      wrong('has steps and is not_applicable', 'keep one of the two');
    commands.set(name, { steps: steps('steps'), fallback: steps('fallback'), notApplicable: rule.notApplicable });
  }
  return commands;
}

function compileStep(
  profile: Profile,
  key: string,
  step: ProfileStep,
  encoder: AttributeEncoder,
  problems: ConfigProblem[],
): CompiledStep[] {
  switch (step.send) {
    case 'coa': {
      const attributes: CompiledAttribute[] = [];
      step.attributes.forEach((attribute, index) => {
        const result = compileAttribute(profile, `${key}.attributes[${index}]`, attribute, encoder, 'command');
        if (result.ok) attributes.push(result.attribute);
        else problems.push(...result.problems);
      });
      return [{ send: 'coa', state: step.state, attributes }];
    }
    case 'ssh': {
      // A program that reads lines has a grammar of its own, so values are those of the allow-list.
      const dialect = step.into === undefined ? profile.ssh.dialect : 'ios';
      if (step.into !== undefined && (profile.ssh.dialect !== 'posix' || profile.ssh.mode !== 'exec')) {
        const problem = 'is for NASes with a shell';
        const remedy = 'write dialect = "posix" and mode = "exec", or take it away';
        problems.push({ file: profile.file, line: step.line, key: `${key}.into`, problem, remedy });
      }
      const lines = step.lines.flatMap((line, index) =>
        compileLine(profile, `${key}.lines[${index}]`, step.line, line, dialect, problems),
      );
      return [{ send: 'ssh', lines, into: step.into }];
    }
    case 'disconnect':
    case 'exec':
      return [{ send: step.send }];
  }
}

function compileLine(
  profile: Profile,
  key: string,
  line: number,
  source: string,
  dialect: Dialect,
  problems: ConfigProblem[],
): CommandTemplate[] {
  const result = compileCommandTemplate(source, dialect);
  if (result.ok) return [result.template];
  problems.push({ file: profile.file, line, key, problem: result.problem, remedy: result.remedy });
  return [];
}

function checkSshSection(profile: Profile, problems: ConfigProblem[]): void {
  const { mode, prompt } = profile.ssh;
  if (mode === 'prompt' && prompt === undefined) {
    const problem = 'is missing, so nobody knows when the next line may be typed';
    const remedy = 'write what the prompt looks like, such as prompt = "[>#] ?$"';
    problems.push({ file: profile.file, line: 0, key: 'ssh.prompt', problem, remedy });
  }
  for (const list of ['prologue', 'epilogue'] as const) {
    profile.ssh[list].forEach((source, index) => {
      const key = `ssh.${list}[${index}]`;
      const [template] = compileLine(profile, key, 0, source, profile.ssh.dialect, problems);
      if (template === undefined || template.isGeneral) return;
      const problem = 'names a subscriber, and a batch is about many';
      problems.push({ file: profile.file, line: 0, key, problem, remedy: 'write it into the steps of the commands' });
    });
  }
}
