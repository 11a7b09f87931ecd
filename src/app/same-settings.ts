/** Whether settings changed. Enters: two parts of configurations. Leaves: yes or no. Invariant: a secret is compared by its value, and shown to nobody. */
import { SecretValue } from '../config/secret-value.js';

/** Of two parts of a configuration; secrets look alike in every other way of comparing. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof SecretValue || other instanceof SecretValue)
    return one instanceof SecretValue && other instanceof SecretValue && one.equals(other);
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
  const entries = Object.entries(one);
  const others = new Map(Object.entries(other));
  return entries.length === others.size && entries.every(([key, value]) => isSame(value, others.get(key)));
}
