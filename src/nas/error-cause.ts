/**
 * What the Error-Cause of a CoA-NAK or Disconnect-NAK means for a command (RFC 5176 §3.5).
 *
 * Enters: the number, or none.
 * Leaves: an outcome with a text for logs and pages that says whose fault it is.
 * Invariant: every number has one meaning; one that nobody knows is a refusal, because a NAK says that nothing was done.
 */
import type { CommandOutcome } from './driver.js';

/** A NAS that is out of resources has them again when sessions end, ms. */
const resourcesAfterMs = 30_000;
/** A proxy's route or next hop comes back in the time that people or routing need, ms. */
const proxyAfterMs = 60_000;

type Meaning =
  | { readonly outcome: 'refused'; readonly because: string }
  | { readonly outcome: 'session-gone'; readonly because: string }
  | { readonly outcome: 'later'; readonly afterMs: number; readonly because: string };

interface ErrorCause {
  readonly name: string;
  readonly meaning: Meaning;
}

const refused = (because: string): Meaning => ({ outcome: 'refused', because });
const later = (afterMs: number, because: string): Meaning => ({ outcome: 'later', afterMs, because });
const gone = (because: string): Meaning => ({ outcome: 'session-gone', because });

/** Every value of RFC 5176 §3.5. */
export const errorCauses: ReadonlyMap<number, ErrorCause> = new Map(
  (
    [
      // Codes of success belong into an ACK; in a NAK the words still say that the session is not there.
      [201, 'Residual-Context-Removed', gone('what was left of the session was removed')],
      [202, 'Invalid-EAP-Packet', refused('the NAS takes it for EAP')],
      [401, 'Unsupported-Attribute', refused('the profile sends an attribute that this NAS does not take')],
      [
        402,
        'Missing-Attribute',
        refused('the profile does not send an attribute that this NAS needs: see coa.identify'),
      ],
      [
        403,
        'NAS-Identification-Mismatch',
        refused('the NAS has another NAS-Identifier or NAS-IP-Address than was sent'),
      ],
      [404, 'Invalid-Request', refused('the NAS cannot read what the profile sends')],
      [405, 'Unsupported-Service', refused('the NAS does not know the Service-Type that the profile sends')],
      [406, 'Unsupported-Extension', refused('the NAS does not do this kind of command: CoA may be off there')],
      [
        407,
        'Invalid-Attribute-Value',
        refused('the NAS does not know a value that the profile sends: a list, service or policy'),
      ],
      [501, 'Administratively-Prohibited', refused('the NAS is configured not to obey this server')],
      [502, 'Proxy-Request-Not-Routable', later(proxyAfterMs, 'a proxy on the way does not know this NAS')],
      [503, 'Session-Context-Not-Found', gone('the NAS has no such session')],
      [504, 'Session-Context-Not-Removable', refused('the NAS has the session and cannot end it')],
      [505, 'Proxy-Processing-Error', later(proxyAfterMs, 'a proxy on the way failed')],
      [506, 'Resources-Unavailable', later(resourcesAfterMs, 'the NAS has no resources for it now')],
      // Only Service-Type Authorize-Only asks for this (RFC 5176 §3.2), which no command of ours does.
      [507, 'Request-Initiated', refused('the NAS asks for authorisation instead: the profile sends Authorize-Only')],
      [508, 'Multiple-Session-Selection-Unsupported', refused('what was sent fits several sessions: see coa.identify')],
    ] as const
  ).map(([number, name, meaning]) => [number, { name, meaning }]),
);

/** `503 Session-Context-Not-Found`, or the number alone. */
export function errorCauseText(number: number): string {
  const known = errorCauses.get(number);
  return known === undefined ? String(number) : `${String(number)} ${known.name}`;
}

/**
 * What a NAK comes to.
 *
 * @param reply its name, `CoA-NAK` or `Disconnect-NAK`
 * @param errorCause undefined: it carries none, as some NASes do
 */
export function outcomeOfNak(reply: string, errorCause: number | undefined): CommandOutcome {
  if (errorCause === undefined) return { outcome: 'refused', errorCause: null, text: `${reply} without Error-Cause` };
  const meaning = errorCauses.get(errorCause)?.meaning ?? refused('nobody knows this Error-Cause');
  const text = `${reply} ${errorCauseText(errorCause)}: ${meaning.because}`;
  switch (meaning.outcome) {
    case 'refused':
      return { outcome: 'refused', errorCause, text };
    case 'session-gone':
      return { outcome: 'session-gone', text };
    case 'later':
      return { outcome: 'later', afterMs: meaning.afterMs, text };
  }
}
