/**
 * Whether each NAS has what the commands of its profile need.
 *
 * Enters: NAS entries and compiled profiles.
 * Leaves: a problem for each NAS that could not be commanded, with the line of its entry.
 * Invariant: it looks at files and changes nothing; a NAS that is only observed needs nothing.
 */
import { accessSync, constants, statSync } from 'node:fs';
import type { NasEntry } from '../config/config.js';
import type { ConfigProblem } from '../config/problem.js';
import { sshTargetOf } from './nas-transports.js';
import { driverOf } from './profile-driver.js';
import type { DriverName } from './driver.js';
import type { CompiledProfile } from './profile.js';

/**
 * Finds NASes whose profile sends what they have no way for.
 *
 * @param isProgram whether a path is a file that may be run; the disk by default
 */
export function checkCommandRequirements(
  entries: readonly NasEntry[],
  profiles: ReadonlyMap<string, CompiledProfile>,
  isProgram: (path: string) => boolean = isProgramOnDisk,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const nas of entries) {
    const profile = profiles.get(nas.profile);
    if (profile?.profile.enforcement === undefined || nas.mode === 'observe') continue;
    const wrong = (key: string, problem: string, remedy: string): number =>
      problems.push({ file: nas.file, line: nas.line, key, problem, remedy });
    const uses = waysOf(profile);
    if (uses.has('ssh')) checkSsh(nas, wrong);
    if (uses.has('exec')) checkScript(nas, profile, isProgram, wrong);
  }
  return problems;
}

type Complain = (key: string, problem: string, remedy: string) => number;

function waysOf({ commands }: CompiledProfile): ReadonlySet<DriverName> {
  return new Set([...commands.values()].flatMap(({ steps, fallback }) => [...steps, ...fallback].map(driverOf)));
}

function checkSsh(nas: NasEntry, wrong: Complain): void {
  if (nas.ssh.password === undefined && nas.ssh.key === undefined) {
    const problem = `is missing: the profile "${nas.profile}" sends commands over SSH`;
    wrong(
      'ssh.key_file',
      problem,
      'name a private key in ssh.key_file or a file in ssh.password_file, or write mode = "observe"',
    );
    return;
  }
  if (sshTargetOf(nas) === undefined)
    wrong(
      'ssh.address',
      'is missing: the entry is a network, and SSH goes to one host',
      'write the host in ssh.address',
    );
}

function checkScript(
  nas: NasEntry,
  { profile }: CompiledProfile,
  isProgram: (path: string) => boolean,
  wrong: Complain,
): void {
  const script = nas.exec.script ?? profile.exec.script;
  if (script === undefined) {
    const problem = `is missing: the profile "${nas.profile}" runs a script`;
    wrong('exec.script', problem, 'name the program here or in [exec] of the profile, or write mode = "observe"');
  } else if (!isProgram(script)) {
    wrong('exec.script', `names ${script}, which is no program that can be run`, 'put it there and chmod 755 it');
  }
}

function isProgramOnDisk(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
