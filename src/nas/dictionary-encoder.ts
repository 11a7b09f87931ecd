/**
 * An encoder of attributes over a RADIUS dictionary.
 *
 * Enters: a loaded dictionary.
 * Leaves: an `AttributeEncoder`.
 * Invariant: what the dictionary refuses becomes a result; any other error passes, because it is ours.
 */
import type { Dictionary } from '../radius/dictionary.js';
import { EncodeError, encodeAttribute } from '../radius/encode-attribute.js';
import type { AttributeEncoder } from './attribute-encoder.js';
import { plainName } from './compile-attribute.js';

// Types whose text may be written as 0x…; text that others chose is never read that way.
const octetTypes: ReadonlySet<string> = new Set(['octets', 'tlv', 'abinary']);

/** The encoder that `compileProfile` wants. Attributes that travel hidden (`encrypt=`) are refused: they differ each time. */
export function dictionaryEncoder(dictionary: Dictionary): AttributeEncoder {
  return {
    encode(name, value, tag, verbatim) {
      try {
        const type = dictionary.attribute(plainName(name))?.type;
        const octets = verbatim && typeof value === 'string' && octetTypes.has(type ?? '') ? Buffer.from(value) : value;
        return { ok: true, octets: encodeAttribute(dictionary, name, octets, tag === undefined ? {} : { tag }) };
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error;
        const reason = error.reason === 'unknown-attribute' ? 'unknown-attribute' : 'bad-value';
        return { ok: false, reason, problem: problems[error.reason] };
      }
    },
    names: () => Array.from(dictionary.attributes(), (attribute) => attribute.name),
  };
}

const problems: Readonly<Record<EncodeError['reason'], string>> = {
  'unknown-attribute': 'it is not in the dictionary',
  'value-invalid': 'it is not a value of its type',
  'value-too-long': 'it is longer than an attribute can be',
  'tag-invalid': 'it takes no tag, or not this one',
  'secret-needed': 'it travels hidden, which a profile cannot do',
  'type-unsupported': 'its type is not encoded',
};
