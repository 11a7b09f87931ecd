// Settling costs what it writes. Enters: the schema of 005. Leaves: no index whose condition is "logged", so that going online and offline changes one
// page of the heap and no index; triggers that look at nothing where Sluice itself wrote what is. Invariant: everybody else's writes are heard as before.
// Frozen once landed.

const settling = `
DROP INDEX subscriber_logged_index;

CREATE OR REPLACE TRIGGER subscriber_updated AFTER UPDATE ON subscriber REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
  FOR EACH STATEMENT WHEN (current_setting('sluice.settling', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION sluice_subscriber_updated();
CREATE OR REPLACE TRIGGER subscriber_level_updated AFTER UPDATE ON subscriber REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
  FOR EACH STATEMENT WHEN (current_setting('sluice.settling', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION sluice_subscriber_level_updated();
CREATE OR REPLACE TRIGGER subscriber_logged BEFORE UPDATE OF logged ON subscriber FOR EACH ROW
  WHEN (NEW.logged <> OLD.logged AND current_setting('sluice.settling', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION sluice_subscriber_logged();
`;

export async function up(knex) {
  await knex.raw(settling);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
