/**
 * The configuration of the ways in, as the listener asks it. Enters: settings. Leaves: secrets as octets, sources as questions. Invariant: a
 * secret whose file has yet to be made lets nobody in.
 */
import type { IntakeSettings, IntakeTeller } from '../config/intake-secrets.js';
import { contains, parseIpAddress } from '../config/ip-network.js';
import type { IntakeRules, Teller } from '../dhcp/intake-rules.js';

/** The rules of one configuration; made once for each. */
export function intakeRules({ lever, jsonSources, alertmanager }: IntakeSettings): IntakeRules {
  return {
    lever: lever && tellerOf(lever),
    jsonSources: jsonSources.map((one) => ({ name: one.name, ...tellerOf(one) })),
    alertmanager: alertmanager && tellerOf(alertmanager),
  };
}

/** Whether anybody would be let in over HTTP: without that there is no listener to open. */
export function isIntakeOn({ lever, jsonSources, alertmanager }: IntakeSettings): boolean {
  return lever !== undefined || jsonSources.length > 0 || alertmanager !== undefined;
}

function tellerOf({ secrets, sources }: IntakeTeller): Teller {
  return {
    secrets: secrets.filter((secret) => !secret.isMissing).map((secret) => secret.octets()),
    admits: (text) => {
      const address = parseIpAddress(text);
      return address !== undefined && sources.some((network) => contains(network, address));
    },
  };
}
