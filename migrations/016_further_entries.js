// Entries of further leases. Enters: the schema of 015. Leaves: a third kind of enforcement, an entry beside the one that a subscriber has on a NAS, of one lease more of the
// same line. Invariants: it is named by its session, and outlives it until its NAS has let go of the address; a deleted subscriber waits for it; the release before
// takes it for an entry without a session, and takes it away. Frozen once landed.

const kinds = `
ALTER TABLE enforcement DROP CONSTRAINT enforcement_kind_known, DROP CONSTRAINT enforcement_session_named;
ALTER TABLE enforcement
  ADD CONSTRAINT enforcement_kind_known CHECK (kind IN ('session', 'provisioned', 'further')),
  ADD CONSTRAINT enforcement_session_named CHECK ((kind <> 'provisioned') = (session_id IS NOT NULL));
COMMENT ON COLUMN enforcement.kind IS
  'session: a session on a NAS. provisioned: the entry of a subscriber. further: one more, of another lease of the same line';
COMMENT ON COLUMN enforcement.session_id IS 'of a session, and of the lease that a further entry is for, also when it is over';
DROP INDEX enforcement_entry_index;
CREATE INDEX enforcement_entry_index ON enforcement (nas_name, entry_address) WHERE kind <> 'session' AND entry_address IS NOT NULL;
`;

// Fires after "subscriber_deleted", by name.
const triggers = `
CREATE FUNCTION sluice_subscriber_deleted_further() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.deleted AND NOT coalesce(OLD.deleted, false)
     AND EXISTS (SELECT FROM enforcement WHERE subscriber_id = NEW.id AND kind = 'further') THEN NEW.released_at := NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER subscriber_deleted_further BEFORE UPDATE OF deleted ON subscriber
  FOR EACH ROW EXECUTE FUNCTION sluice_subscriber_deleted_further();
`;

export async function up(knex) {
  for (const part of [kinds, triggers]) await knex.raw(part);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
