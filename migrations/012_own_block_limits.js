// Limits of voluntary blocks. Enters: the schema of 008. Leaves: how long one may last and how soon another may follow, by plan and by account, and when
// each subscriber's last one began and ended. Invariants: a block that comes too soon is refused, not dropped; whoever is staff says so and is not bound;
// without limits nothing changes; the release before goes on working on it. Frozen once landed.

const days = (column, table) => `ADD COLUMN own_block_${column}_days integer
    CONSTRAINT ${table}_own_block_${column}_range CHECK (own_block_${column}_days BETWEEN 0 AND 36500)`;

const columns = `
ALTER TABLE plan ${days('max', 'plan')}, ${days('pause', 'plan')};
ALTER TABLE account ${days('max', 'account')}, ${days('pause', 'account')};
COMMENT ON COLUMN plan.own_block_max_days IS 'after so many times 24 hours a voluntary block ends by itself; NULL or 0: never';
COMMENT ON COLUMN plan.own_block_pause_days IS 'so many times 24 hours must pass after a voluntary block before the next one; NULL or 0: none';
COMMENT ON COLUMN account.own_block_max_days IS 'in place of that of the plan; 0: never; NULL: as the plan says';
COMMENT ON COLUMN account.own_block_pause_days IS 'in place of that of the plan; 0: none; NULL: as the plan says';
ALTER TABLE subscriber ADD COLUMN own_disabled_since timestamptz, ADD COLUMN own_disabled_ended_at timestamptz;
COMMENT ON COLUMN subscriber.own_disabled_since IS 'when the last voluntary block began';
COMMENT ON COLUMN subscriber.own_disabled_ended_at IS 'when the last voluntary block that is over ended';
-- Of those that are there nobody knows since when: they count from now on.
UPDATE subscriber SET own_disabled_since = now() WHERE own_disabled;
CREATE INDEX subscriber_own_disabled_index ON subscriber (own_disabled_since) WHERE own_disabled;
`;

const triggers = `
CREATE FUNCTION sluice_subscriber_own_block() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  pause integer;
BEGIN
  IF NOT NEW.own_disabled THEN
    NEW.own_disabled_ended_at := now();
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.own_disabled_ended_at IS NOT NULL AND coalesce(current_setting('sluice.own_block_limits', true), '') <> 'off' THEN
    SELECT coalesce(a.own_block_pause_days, p.own_block_pause_days, 0) INTO pause
      FROM account a LEFT JOIN plan p ON p.id = a.plan_id WHERE a.id = NEW.account_id;
    IF now() < NEW.own_disabled_ended_at + pause * interval '24 hours' THEN
      RAISE EXCEPTION 'subscriber %: the last voluntary block ended at %, the next one may begin % days later', NEW.id,
          NEW.own_disabled_ended_at, pause
        USING ERRCODE = 'check_violation', TABLE = 'subscriber', CONSTRAINT = 'subscriber_own_block_pause',
          HINT = 'staff may do it all the same: SET LOCAL sluice.own_block_limits = ''off''';
    END IF;
  END IF;
  NEW.own_disabled_since := now();
  RETURN NEW;
END $$;
CREATE TRIGGER subscriber_own_block_changed BEFORE UPDATE OF own_disabled ON subscriber FOR EACH ROW
  WHEN (OLD.own_disabled <> NEW.own_disabled) EXECUTE FUNCTION sluice_subscriber_own_block();
CREATE TRIGGER subscriber_own_block_inserted BEFORE INSERT ON subscriber FOR EACH ROW
  WHEN (NEW.own_disabled) EXECUTE FUNCTION sluice_subscriber_own_block();
`;

// Whoever grants what earlier tables show is called first, whatever it has become meanwhile.
const rights = `
ALTER FUNCTION sluice_grant_page() RENAME TO sluice_grant_page_before_own_block_limits;
CREATE FUNCTION sluice_grant_page() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT sluice_grant_page_before_own_block_limits() THEN RETURN false; END IF;
  GRANT SELECT (own_disabled_since, own_disabled_ended_at) ON subscriber TO sluice_page;
  RETURN true;
END $$;
COMMENT ON FUNCTION sluice_grant_page IS 'gives the role sluice_page, if there is one, what the page reads; false: there is none';
SELECT sluice_grant_page();
`;

export async function up(knex) {
  for (const part of [columns, triggers, rights]) await knex.raw(part);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
