/**
 * A packet listener on loopback with what surrounds it. Enters: relays, a sink, what servers answer. Leaves: a running listener, senders at
 * addresses of their own, and everything that came out. Invariant: all of it ends with the test.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { LeaseEvent, LeaseSink } from '../../src/domain/lease-event.js';
import { parseIpv4Address } from '../../src/domain/ipv4-address.js';
import type { DhcpPacket } from '../../src/dhcp/packet.js';
import { DhcpPacketListener, type DhcpPacketListenerOptions } from '../../src/dhcp/packet-listener.js';
import { RelayTable, type Ipv4Network, type Relay } from '../../src/dhcp/relay-table.js';
import { UdpListener } from '../../src/radius/listener.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';
import { decoded } from './sample-packets.js';

/** `10.0.0.0/8`, or a single address. */
export function network(text: string): Ipv4Network {
  const [address = '', length = '32'] = text.split('/');
  return { address: parseIpv4Address(address)!, prefixLength: Number(length) };
}

/** A relay at one address, for the giaddr of the samples. */
export function relayAt(name: string, source: string, change: Partial<Relay> = {}): Relay {
  return {
    name,
    source: [network(source)],
    giaddr: [network('100.65.2.1')],
    trusted: false,
    acks: false,
    leasequeryServers: [],
    ...change,
  };
}

/** Opens a UDP socket of the kind that the server uses. */
export function opener(address: string, port = 0) {
  return (onDatagram: (datagram: Buffer, sourceAddress: string, sourcePort: number) => void) =>
    UdpListener.open({ socketAddress: { family: 4, address, port } }, onDatagram);
}

export interface Listening {
  readonly listener: DhcpPacketListener;
  readonly clock: ManualClock;
  readonly events: LeaseEvent[];
  readonly told: string[];
  readonly errors: unknown[];
  /** Where it listens. */
  readonly port: number;
  /** Counts of drops, `relay reason` to number. */
  drops(): Record<string, number>;
  /** Resolves when so many packets have been dealt with. */
  dealtWith(count: number): Promise<void>;
}

/** Starts a listener whose sink stores everything. */
export async function listenWith(
  t: Test,
  relays: readonly Relay[],
  change: Partial<DhcpPacketListenerOptions> = {},
): Promise<Listening> {
  const clock = new ManualClock();
  const events: LeaseEvent[] = [];
  const told: string[] = [];
  const errors: unknown[] = [];
  const sink: LeaseSink = {
    take(event, taken) {
      events.push(event);
      taken(true);
    },
  };
  const listener = new DhcpPacketListener({
    sockets: [opener('127.0.0.1')],
    relays: new RelayTable(relays),
    sink,
    clock,
    onDrop: (reason, relay, address, hint) => told.push(`${reason} ${relay} ${address ?? '-'} ${hint ?? '-'}`),
    onError: (error) => errors.push(error),
    maxHeldRequests: 100,
    maxLeasequeries: 8,
    random: () => 0.5,
    ...change,
  });
  await listener.start();
  t.teardown(() => listener.stop());
  const drops = (): Record<string, number> =>
    Object.fromEntries(listener.counters().drops.map(({ relay, reason, count }) => [`${relay} ${reason}`, count]));
  return {
    listener,
    clock,
    events,
    told,
    errors,
    port: listener.sockets[0]!.socketAddress.port,
    drops,
    dealtWith: (count) =>
      until(() => {
        const { events: handed, drops: dropped, heldRequests } = listener.counters();
        return [...handed, ...dropped].reduce((sum, one) => sum + one.count, heldRequests) >= count;
      }),
  };
}

export interface Sender {
  readonly address: string;
  readonly port: number;
  readonly heard: { readonly octets: Buffer; readonly address: string; readonly port: number }[];
  send(octets: Buffer, port: number, address?: string): Promise<void>;
}

/** A socket at an address of loopback, as a relay, client or stranger has one. */
export async function senderAt(t: Test, address: string): Promise<Sender> {
  const socket: Socket = createSocket('udp4');
  const heard: Sender['heard'] = [];
  socket.on('message', (octets, from) => heard.push({ octets, address: from.address, port: from.port }));
  socket.bind(0, address);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return {
    address,
    port: socket.address().port,
    heard,
    send: (octets, port, to = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        socket.send(octets, port, to, (error) => (error === null ? resolve() : reject(error)));
      }),
  };
}

export interface LeaseServerPeer extends Sender {
  readonly questions: readonly DhcpPacket[];
}

/** A DHCP server that answers each leasequery as the test says; undefined: not at all. */
export async function leaseServerAt(
  t: Test,
  address: string,
  answer: (question: DhcpPacket) => Buffer | undefined,
): Promise<LeaseServerPeer> {
  const questions: DhcpPacket[] = [];
  const socket = createSocket('udp4');
  const heard: Sender['heard'] = [];
  socket.on('message', (octets, from) => {
    heard.push({ octets, address: from.address, port: from.port });
    const question = decoded(octets);
    questions.push(question);
    const reply = answer(question);
    if (reply !== undefined) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return {
    address,
    port: socket.address().port,
    heard,
    questions,
    send: (octets, port, to = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        socket.send(octets, port, to, (error) => (error === null ? resolve() : reject(error)));
      }),
  };
}
