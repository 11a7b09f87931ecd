/**
 * What one kind of NAS is sent when somebody runs out of money, pays, and is deleted. Enters: the name of a bundled profile. Leaves: text for its page.
 * Invariant: every line is from a packet that crossed a socket.
 */
import type { Test } from 'tap';
import type { CommandName, ServiceState } from '../../src/domain/service-state.js';
import { codeName } from '../../src/radius/code.js';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { describeAttribute } from '../../src/radius/describe.js';
import { type CommandBench, commandBench, dictionary, present } from './command-bench.js';

const redirected = { ...present, redirect: true };
const faster = { ...present, rate: { downBps: 100_000_000, upBps: 20_000_000 } };

const stages: readonly [what: string, commands: readonly CommandName[], desired: ServiceState][] = [
  ['redirect = true', ['user_redirect'], redirected],
  ['redirect = false', ['user_redirect_cancel'], present],
  ['another plan: 100M down, 20M up', ['user_rate_set'], faster],
  ['a plan without a rate', ['user_rate_set_cancel'], { ...present, rate: { downBps: null, upBps: null } }],
  ['deleted = true', ['user_del'], present],
];

/** The block between the fences of "Sample exchange". */
export async function sampleExchange(t: Pick<Test, 'teardown'>, bundled: string): Promise<string> {
  const bench = await commandBench(t, { bundled });
  const lines: string[] = [];
  for (const [what, commands, desired] of stages) {
    lines.push(what, ...(await stage(bench, commands, desired)).map((line) => `  ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

async function stage(bench: CommandBench, commands: readonly CommandName[], desired: ServiceState): Promise<string[]> {
  const lines: string[] = [];
  for (const name of commands) {
    const compiled = bench.profile.commands.get(name);
    if (compiled === undefined) lines.push(`(not planned: the profile rejects this state, so the session is ended)`);
    else if (compiled.notApplicable !== undefined) lines.push(`${name}: ${compiled.notApplicable}`);
    else {
      const before = bench.nas.heard.length;
      const results = await bench.run([name], { desired });
      lines.push(name);
      for (const { packet } of bench.nas.heard.slice(before)) {
        lines.push(`  ${codeName(packet.code)}`);
        for (const attribute of decodeAttributes(dictionary, packet))
          lines.push(
            `    ${attribute.name === 'Message-Authenticator' ? 'Message-Authenticator' : describeAttribute(attribute)}`,
          );
      }
      lines.push(`  ${results.at(-1)?.outcome.text ?? ''}`);
    }
  }
  return lines;
}
