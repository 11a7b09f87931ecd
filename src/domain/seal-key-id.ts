// Enters: nothing. Leaves: the id under which the key of `radius.password_key_file` seals and unseals stored passwords. It
// stands in every sealed text, so that a second key can be told from the first one day; whoever seals and whoever checks
// must agree on it, hence one constant.

/** Id, one octet, of the one key that the configuration names. */
export const storedPasswordKeyId = 1;
