/**
 * `device …` and `monitor-event`: which options there are.
 *
 * Enters: arguments. Leaves: calls of the files that do the work. Invariant: nothing heavy is loaded before one of the commands is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { ContactOptions } from './device-catalogue-commands.js';
import type { DeviceImportOptions } from './device-import-command.js';
import type { DeviceListOptions } from './device-show.js';
import { deviceKeys } from './device-values.js';
import type { DeviceAddOptions, ReplaceOptions } from './device-write.js';
import type { MonitorEventOptions } from './monitor-event-command.js';

const names = 'by name, MAC, serial, address, or id:NUMBER';

/** Adds `device` with its subcommands, and `monitor-event`. */
export function registerDeviceCommands(program: Command, context: CommandContext): void {
  const device = program.command('device').description('switches, OLTs and ONUs: who is plugged in where');
  device
    .command('add [name]')
    .description('make a device')
    .requiredOption('--kind <kind>', 'its kind: see device kind list')
    .option('--mac <mac>', 'hardware address, as option 82 tells it')
    .option('--serial <serial>', 'serial, as an ONU tells it')
    .option('--address <address>', 'where it is managed, and what monitoring knows it by')
    .option('--group <group>', 'whose contacts are told of it')
    .option('--place <text>')
    .option('--description <text>')
    .option('--noticeable', 'people are told when its status changes')
    .action(async (name: string | undefined, options: DeviceAddOptions) => {
      const { addDevice } = await import('./device-write.js');
      await addDevice(context, name, options);
    });
  device
    .command('list')
    .description('list devices')
    .option('--search <text>', 'part of name, serial, place or description; or a whole MAC or address')
    .option('--kind <kind>')
    .option('--group <group>')
    .option('--status <status>', 'up, down, unreachable or unknown')
    .option('--deleted', 'only removed ones')
    .option('--limit <rows>', 'at most so many; 0 for all (default: 200, with --json all)')
    .action(async (options: DeviceListOptions) => {
      const { listAllDevices } = await import('./device-show.js');
      await listAllDevices(context, options);
    });
  device
    .command('show <device>')
    .description(`show a device, ${names}: who is plugged in, what monitoring said`)
    .action(async (text: string) => {
      const { showDevice } = await import('./device-show.js');
      await showDevice(context, text);
    });
  device
    .command('set <device> <key=value...>')
    .description(`change a device; keys: ${deviceKeys.join(', ')}`)
    .action(async (text: string, args: string[]) => {
      const { setDevice } = await import('./device-write.js');
      await setDevice(context, text, args);
    });
  device
    .command('remove <device>')
    .description('mark a device removed; nobody may be plugged into it')
    .action(async (text: string) => {
      const { removeOneDevice } = await import('./device-write.js');
      await removeOneDevice(context, text);
    });
  device
    .command('replace <old> <new>')
    .description('put a device in the place of another: its subscribers move with their ports')
    .option('--serial', 'a new device that is not known yet is named by its serial, not by its MAC')
    .option('--dry-run', 'tell who would move, and take it back')
    .action(async (oldText: string, newText: string, options: ReplaceOptions) => {
      const { replaceOneDevice } = await import('./device-write.js');
      await replaceOneDevice(context, oldText, newText, options);
    });
  device
    .command('import <file>')
    .description('add and change many devices from a CSV file (- is standard input)')
    .option('--dry-run', 'do everything, tell what would change, and take it all back')
    .option('--stop-on-error', 'write nothing unless every line is right')
    .option('--delimiter <character>', 'what separates the cells', ',')
    .action(async (file: string, options: DeviceImportOptions) => {
      const { importDevices } = await import('./device-import-command.js');
      await importDevices(context, file, options);
    });
  registerCatalogue(device, context);
  program
    .command('monitor-event <device> <status>')
    .description('what a monitoring system saw: UP, DOWN or UNREACHABLE')
    .option('--at <time>', 'when it was seen; @SECONDS since 1970 will do (default: now)')
    .option('--note <text>', 'what else there is to say to people')
    .action(async (text: string, status: string, options: MonitorEventOptions) => {
      const { monitorEvent } = await import('./monitor-event-command.js');
      await monitorEvent(context, text, status, options);
    });
}

function registerCatalogue(device: Command, context: CommandContext): void {
  const load = () => import('./device-catalogue-commands.js');
  const kind = device.command('kind').description('kinds of devices: how a subscriber is found');
  kind
    .command('list')
    .description('list all kinds')
    .action(async () => (await load()).listKinds(context));
  kind
    .command('add <name>')
    .description('make a kind; subscribers are found by device and port')
    .option('--alone', 'by the device alone')
    .option('--shared-ports', 'a port may have several subscribers, told apart by MAC')
    .action(async (name: string, options: { alone?: boolean; sharedPorts?: boolean }) =>
      (await load()).addKind(context, name, options),
    );
  kind
    .command('set <name> <key=value...>')
    .description('change a kind; keys: by_port, shared_ports')
    .action(async (name: string, args: string[]) => (await load()).setKind(context, name, args));
  const group = device.command('group').description('groups of devices: who is told of them');
  group
    .command('list')
    .description('list all groups')
    .action(async () => (await load()).listGroups(context));
  group
    .command('add <name>')
    .description('make a group')
    .action(async (name: string) => (await load()).addGroup(context, name));
  const contact = device.command('contact').description('who is told when a device of a group changes');
  contact
    .command('list [group]')
    .description('list contacts, and whether telling them works')
    .action(async (name: string | undefined) => (await load()).printContacts(context, name));
  contact
    .command('add <group>')
    .description('tell somebody')
    .option('--mail <address>', 'by mail')
    .option('--webhook <url>', 'by posting JSON')
    .option('--secret <name>', 'name of the secret in monitoring.webhook_secrets that signs what is posted')
    .action(async (name: string, options: ContactOptions) => (await load()).addContact(context, name, options));
  contact
    .command('remove <group> <address>')
    .description('tell somebody no more')
    .action(async (name: string, address: string) => (await load()).removeContact(context, name, address));
}
