// Devices in the change feed. Enters: the schema of 014. Leaves: a row of the feed for each device that is made, or known by another name, MAC, serial or
// kind, or deleted, whether or not anybody is plugged into it. Invariants: what monitoring says of a device is no change of it and costs nothing; the
// release before passes over rows of a kind that it does not know. Frozen once landed.

const triggers = `
CREATE FUNCTION sluice_device_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO change_feed (kind, ref) SELECT 'device', id FROM new_row;
  PERFORM pg_notify('sluice_change', '');
  RETURN NULL;
END $$;
CREATE TRIGGER device_made AFTER INSERT ON device REFERENCING NEW TABLE AS new_row
  FOR EACH STATEMENT EXECUTE FUNCTION sluice_device_made();

-- Row by row, since a list of columns and transition tables exclude each other, and the status of a device changes often.
CREATE FUNCTION sluice_device_known_otherwise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO change_feed (kind, ref) VALUES ('device', NEW.id);
  PERFORM pg_notify('sluice_change', '');
  RETURN NULL;
END $$;
CREATE TRIGGER device_known_otherwise AFTER UPDATE OF mac, name, serial, kind_id, deleted ON device FOR EACH ROW
  WHEN (OLD.mac IS DISTINCT FROM NEW.mac OR OLD.name IS DISTINCT FROM NEW.name OR OLD.serial IS DISTINCT FROM NEW.serial
    OR OLD.kind_id <> NEW.kind_id OR OLD.deleted <> NEW.deleted)
  EXECUTE FUNCTION sluice_device_known_otherwise();

CREATE FUNCTION sluice_device_kind_found_otherwise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO change_feed (kind, ref) SELECT 'device', id FROM device WHERE kind_id = NEW.id;
  PERFORM pg_notify('sluice_change', '');
  RETURN NULL;
END $$;
CREATE TRIGGER device_kind_found_otherwise AFTER UPDATE OF by_port ON device_kind FOR EACH ROW
  WHEN (OLD.by_port <> NEW.by_port) EXECUTE FUNCTION sluice_device_kind_found_otherwise();
`;

export async function up(knex) {
  await knex.raw(triggers);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
