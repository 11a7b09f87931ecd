/**
 * One SSH connection to a NAS. Enters: where it is, who we are there, and the fingerprint of the host key that it must show. Leaves: programs run and
 * shells opened. Invariants: with another host key than the known one, or with none known, not one octet of a credential is sent; nothing here is ever
 * logged by the SSH library, whose debug output would show passwords.
 */
import type { Buffer } from 'node:buffer';
import { Client } from 'ssh2';
import type { ClientChannel, ConnectConfig } from 'ssh2';
import type { SecretValue } from '../config/secret-value.js';
import { fingerprintOf } from './host-keys.js';

/** Where and as whom. */
export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: SecretValue | undefined;
  readonly key: SecretValue | undefined;
  readonly connectTimeoutMs: number;
}

/** Why there is no connection; nothing was said to the NAS. */
export interface SshFailure {
  readonly reason: 'host-key-unknown' | 'host-key-changed' | 'authentication' | 'credentials' | 'network';
  readonly text: string;
  /** The fingerprint that was offered, when it came to that. */
  readonly offered: string | undefined;
}

export type SshOpened =
  | { readonly ok: true; readonly connection: SshConnection; readonly fingerprint: string }
  | { readonly ok: false; readonly failure: SshFailure };

/** How a program ended. `broken`: the connection did. */
export type ProgramEnd =
  | { readonly end: 'closed'; readonly exitCode: number | null }
  | { readonly end: 'broken'; readonly text: string; readonly wasWritten: boolean };

// A dead NAS is noticed while nothing is said to it, ms and times.
const keepaliveMs = 15_000;
const keepaliveTimes = 3;
// Wide enough that a console never wraps one of our lines, columns.
const terminalColumns = 4_096;
const terminalRows = 1_000;

/** An open connection. */
export class SshConnection {
  readonly #client: Client;
  readonly #onEnd = new Set<(text: string) => void>();
  #isOpen = true;

  private constructor(client: Client) {
    this.#client = client;
    const lost = (text: string): void => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      for (const tell of [...this.#onEnd]) tell(text);
      this.#onEnd.clear();
    };
    client.on('error', (error) => lost(networkText(error)));
    client.on('close', () => lost('the connection was closed'));
  }

  /**
   * Connects and logs in.
   *
   * @param knownFingerprint what the host key must be; `undefined`: none is known, and the key is only looked at
   */
  static open(target: SshTarget, knownFingerprint: string | undefined): Promise<SshOpened> {
    return new Promise((resolve) => {
      const client = new Client();
      let offered: string | undefined;
      const fail = (failure: Omit<SshFailure, 'offered'>): void => {
        client.removeAllListeners();
        // What the library still reports about a connection that is given up is of no interest, and must have a listener.
        client.on('error', () => undefined);
        client.destroy();
        resolve({ ok: false, failure: { ...failure, offered } });
      };
      const config: ConnectConfig = {
        host: target.host,
        port: target.port,
        username: target.user,
        readyTimeout: target.connectTimeoutMs,
        keepaliveInterval: keepaliveMs,
        keepaliveCountMax: keepaliveTimes,
        hostVerifier: (key: Buffer) => {
          offered = fingerprintOf(key);
          return knownFingerprint !== undefined && offered === knownFingerprint;
        },
      };
      if (target.key !== undefined) config.privateKey = target.key.octets();
      if (target.password !== undefined) {
        const password = target.password.text();
        config.password = password;
        config.tryKeyboard = true;
        // Many routers ask for the password by keyboard-interactive (RFC 4256) alone.
        client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) =>
          finish(prompts.map(() => password)),
        );
      }
      client.once('ready', () => {
        client.removeAllListeners();
        resolve({ ok: true, connection: new SshConnection(client), fingerprint: offered ?? '' });
      });
      client.once('error', (error: Error & { level?: string }) => {
        if (offered !== undefined && offered !== knownFingerprint) fail(hostKeyFailure(knownFingerprint, offered));
        else if (error.level === 'client-authentication') {
          fail({ reason: 'authentication', text: `${target.user}: the NAS refused the password or key` });
        } else fail({ reason: 'network', text: networkText(error) });
      });
      client.once('close', () => fail({ reason: 'network', text: 'the connection was closed' }));
      try {
        client.connect(config);
      } catch (error) {
        // The library throws only for settings that it cannot use, and here that is the private key.
        if (!(error instanceof Error)) throw error;
        fail({
          reason: 'credentials',
          text: 'the private key cannot be read: OpenSSH and PEM without a passphrase are known',
        });
      }
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Calls back once when the connection is lost; the returned function calls that off. */
  onLost(tell: (text: string) => void): () => void {
    if (!this.#isOpen) {
      queueMicrotask(() => tell('the connection was closed'));
      return () => undefined;
    }
    this.#onEnd.add(tell);
    return () => this.#onEnd.delete(tell);
  }

  /**
   * Runs one program.
   *
   * @param command for the shell of the NAS
   * @param input its standard input, or `undefined` when the command says everything
   * @param onOutput called with each chunk, `isError` for standard error
   */
  run(
    command: string,
    input: string | undefined,
    onOutput: (chunk: Buffer, isError: boolean) => void,
  ): Promise<ProgramEnd> {
    return new Promise((resolve) => {
      let wasWritten = input === undefined;
      let exitCode: number | null = null;
      const callOff = this.onLost((text) => resolve({ end: 'broken', text, wasWritten }));
      const finish = (end: ProgramEnd): void => {
        callOff();
        resolve(end);
      };
      if (!this.#isOpen) return finish({ end: 'broken', text: 'the connection was closed', wasWritten: false });
      this.#client.exec(command, (error, channel) => {
        if (error !== undefined) return finish({ end: 'broken', text: 'the NAS opens no channel', wasWritten });
        channel.on('data', (chunk: Buffer) => onOutput(chunk, false));
        channel.stderr.on('data', (chunk: Buffer) => onOutput(chunk, true));
        channel.on('exit', (code: number | null) => (exitCode = code));
        channel.on('close', () => finish({ end: 'closed', exitCode }));
        channel.on('error', () => finish({ end: 'broken', text: 'the channel broke', wasWritten }));
        if (input === undefined) return channel.end();
        wasWritten = true;
        channel.end(input);
      });
    });
  }

  /** Opens a shell on a terminal; `undefined` when the NAS opens none. */
  shell(): Promise<ClientChannel | undefined> {
    return new Promise((resolve) => {
      const callOff = this.onLost(() => resolve(undefined));
      if (!this.#isOpen) return resolve(undefined);
      this.#client.shell({ term: 'dumb', cols: terminalColumns, rows: terminalRows }, (error, channel) => {
        callOff();
        resolve(error === undefined ? channel : undefined);
      });
    });
  }

  /** Ends it at once; what runs ends as `broken`. */
  end(): void {
    this.#client.end();
    this.#client.destroy();
  }
}

function hostKeyFailure(known: string | undefined, offered: string): Omit<SshFailure, 'offered'> {
  return known === undefined
    ? {
        reason: 'host-key-unknown',
        text: `its host key ${offered} is not trusted yet: compare it, then "sluice nas trust"`,
      }
    : { reason: 'host-key-changed', text: `its host key changed: known is ${known}, it shows ${offered}` };
}

function networkText(error: Error & { level?: string; code?: unknown }): string {
  if (error.level === 'client-timeout') return 'no answer in time';
  if (typeof error.code === 'string') return `no connection: ${error.code}`;
  return 'the connection failed';
}
