// Which address of this host a server answers to.

import t from 'tap';
import { ownAddressToward } from '../../src/dhcp/own-address.js';

t.test('the address that routing picks, and none where there is no way', async (t) => {
  t.equal(await ownAddressToward('127.0.0.5', 67), '127.0.0.1');
  // The system refuses to connect to everybody.
  t.equal(await ownAddressToward('255.255.255.255', 67), undefined);
});
