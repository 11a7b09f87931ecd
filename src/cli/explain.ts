import type { CommandContext } from './command-context.js';
export interface ExplainOptions {
  readonly nas?: string;
  readonly mac?: string;
}
export async function explainSubscriber(
  _context: CommandContext,
  _login: string,
  _options: ExplainOptions,
): Promise<void> {
  await Promise.resolve();
}
