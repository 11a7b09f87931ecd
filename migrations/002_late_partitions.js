// Partitions of months that have rows already. Enters: a schema of the first release. Leaves: `sluice_make_partitions` as before, but
// rows that came before their partition (the server was off for months while others wrote, or a clock was wrong) move into it, where
// they made every later partition impossible.

const makePartitions = `
CREATE OR REPLACE FUNCTION sluice_make_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  part record;
  month date;
  child text;
  from_at timestamptz;
  to_at timestamptz;
  early boolean;
  made integer := 0;
BEGIN
  FOR part IN SELECT * FROM (VALUES ('session_history', 'session_history_default', 'ended_at'),
      ('assignment', 'assignment_open', 'ended_at'), ('subscriber_event', 'subscriber_event_default', 'at'))
      AS known (parent, rest, key) LOOP
    FOR i IN 0..months_ahead LOOP
      month := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
      child := part.parent || '_' || to_char(month, 'YYYYMM');
      CONTINUE WHEN to_regclass(child) IS NOT NULL;
      from_at := month::timestamp AT TIME ZONE 'UTC';
      to_at := (month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
      -- Nobody may add a row of this month between the look and the partition.
      EXECUTE format('LOCK TABLE %I, %I IN ACCESS EXCLUSIVE MODE', part.parent, part.rest);
      EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= $1 AND %I < $2)', part.rest, part.key, part.key)
        INTO early USING from_at, to_at;
      IF early THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, part.parent);
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= $1 AND %I < $2 RETURNING *) INSERT INTO %I SELECT * FROM moved',
          part.rest, part.key, part.key, child) USING from_at, to_at;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part.parent, child, from_at, to_at);
      ELSE
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, part.parent, from_at, to_at);
      END IF;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
`;

export async function up(knex) {
  await knex.raw(makePartitions);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
