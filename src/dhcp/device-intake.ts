/**
 * What the intake hands on about devices: it proves who speaks, and somebody else knows devices. Enters: parsed queries and bodies. Leaves: the
 * interface of who takes them. Invariant: nothing of what is handed on has been looked at beyond its form; all of it is data of strangers.
 */

/** Who told it, and when. */
export interface DeviceHeard {
  readonly receivedAtMs: number;
  /** When it was told, under its signature; undefined where nothing says so. ms since 1970. */
  readonly toldAtMs: number | undefined;
  /** A name of the configuration, or the address that it came from. */
  readonly source: string;
}

/** What became of it. `text` is for whoever asked; it repeats nothing that was sent. */
export type DeviceAnswer =
  | { readonly outcome: 'taken'; readonly text?: string }
  /** It makes no sense, or is about nobody known: saying it again changes nothing. */
  | { readonly outcome: 'refused'; readonly text: string }
  /** It has to be said again. */
  | { readonly outcome: 'not-stored' };

/** Takes what monitoring says. Resolves once it is durable, or will not be. */
export interface DeviceEventSink {
  /** `dev_ip` and `status` of a query, as they came; empty where one is missing. */
  takeQuery(query: { readonly devIp: string; readonly status: string }, heard: DeviceHeard): Promise<DeviceAnswer>;
  /** A body of `/events/device`: parsed JSON. */
  takeEvent(body: unknown, heard: DeviceHeard): Promise<DeviceAnswer>;
  /** A body of Prometheus Alertmanager's webhook: parsed JSON. */
  takeAlerts(body: unknown, heard: DeviceHeard): Promise<DeviceAnswer>;
}
