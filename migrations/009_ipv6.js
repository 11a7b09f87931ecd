// IPv6 prefixes from pools. Enters: the schema of 008. Leaves: pools of prefixes, plans and subscribers that name them, and prefixes in sessions.
// Invariants: rows of pool_address stand for prefixes that somebody was given or is about to be given, never for all that a network can be cut
// into (a /32 makes 16 million of /56); a subscriber's static prefix overlaps nobody else's; the release before goes on working on it, as long
// as no prefix is in use. Frozen once landed.

const pools = `
ALTER TABLE pool
  ADD COLUMN kind text NOT NULL DEFAULT 'ipv4'
    CONSTRAINT pool_kind_known CHECK (kind IN ('ipv4', 'framed-prefix', 'delegated-prefix')),
  ADD COLUMN prefix_length smallint NOT NULL DEFAULT 32,
  ADD CONSTRAINT pool_prefix_length_range CHECK (CASE kind WHEN 'ipv4' THEN prefix_length = 32 ELSE prefix_length BETWEEN 33 AND 128 END);
COMMENT ON COLUMN pool.kind IS 'what it gives: IPv4 addresses, prefixes of links (framed), or prefixes for networks behind the subscriber (delegated)';
COMMENT ON COLUMN pool.prefix_length IS 'bits of what is handed out';

ALTER TABLE pool_network DROP CONSTRAINT pool_network_ipv4,
  ADD CONSTRAINT pool_network_range CHECK (CASE family(network) WHEN 4 THEN masklen(network) >= 12 ELSE masklen(network) >= 16 END),
  ADD COLUMN carved bigint NOT NULL DEFAULT 0 CONSTRAINT pool_network_carved_natural CHECK (carved >= 0);
COMMENT ON COLUMN pool_network.carved IS
  'of a pool of prefixes: how many of its first prefixes have a row in pool_address; the others are free and were never given to anybody';

-- What a network can be cut into.
CREATE FUNCTION sluice_network_size(network cidr, prefix_length integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS
  $$SELECT (2 ^ greatest(prefix_length - masklen(network), 0))::bigint$$;

CREATE FUNCTION sluice_pool_network_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  target pool%ROWTYPE;
BEGIN
  SELECT p.* INTO target FROM pool p WHERE p.id = NEW.pool_id;
  IF (family(NEW.network) = 4) <> (target.kind = 'ipv4') THEN
    RAISE EXCEPTION 'the pool % gives %, and % is of the other family', target.name, target.kind, NEW.network
      USING ERRCODE = 'check_violation', CONSTRAINT = 'pool_network_family';
  END IF;
  IF target.kind <> 'ipv4' AND target.prefix_length - masklen(NEW.network) NOT BETWEEN 0 AND 40 THEN
    RAISE EXCEPTION '% cannot be cut into /%', NEW.network, target.prefix_length
      USING ERRCODE = 'check_violation', CONSTRAINT = 'pool_network_prefix_length';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER pool_network_fits BEFORE INSERT OR UPDATE OF pool_id, network ON pool_network
  FOR EACH ROW EXECUTE FUNCTION sluice_pool_network_fits();
`;

const plans = `
ALTER TABLE plan
  ADD COLUMN framed_pool_id bigint CONSTRAINT plan_framed_pool_fkey REFERENCES pool (id),
  ADD COLUMN delegated_pool_id bigint CONSTRAINT plan_delegated_pool_fkey REFERENCES pool (id);
COMMENT ON COLUMN plan.framed_pool_id IS 'pool of prefixes of links; NULL: none is given';
COMMENT ON COLUMN plan.delegated_pool_id IS 'pool of delegated prefixes; NULL: none is given';

CREATE FUNCTION sluice_plan_pools_fit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  SELECT p.name INTO wrong FROM pool p
    JOIN (VALUES (NEW.pool_id, 'ipv4'), (NEW.framed_pool_id, 'framed-prefix'), (NEW.delegated_pool_id, 'delegated-prefix')) AS w (id, kind)
      ON w.id = p.id AND w.kind <> p.kind LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'the pool % is of another kind', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'plan_pool_kind';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER plan_pools_fit BEFORE INSERT OR UPDATE OF pool_id, framed_pool_id, delegated_pool_id ON plan
  FOR EACH ROW EXECUTE FUNCTION sluice_plan_pools_fit();
`;

// Of each kind an exclusion constraint keeps prefixes apart, also from transactions that nobody sees yet. Between the two kinds the trigger looks.
const subscribers = `
ALTER TABLE subscriber
  ADD COLUMN static_framed_prefix cidr
    CONSTRAINT subscriber_static_framed_prefix_range CHECK (family(static_framed_prefix) = 6 AND masklen(static_framed_prefix) BETWEEN 33 AND 128),
  ADD COLUMN static_delegated_prefix cidr
    CONSTRAINT subscriber_static_delegated_prefix_range CHECK (family(static_delegated_prefix) = 6 AND masklen(static_delegated_prefix) BETWEEN 33 AND 128),
  ADD CONSTRAINT subscriber_static_prefixes_apart CHECK (NOT static_framed_prefix::inet && static_delegated_prefix::inet),
  ADD CONSTRAINT subscriber_static_framed_prefix_unique EXCLUDE USING gist (static_framed_prefix inet_ops WITH &&)
    WHERE (static_framed_prefix IS NOT NULL AND released_at IS NULL),
  ADD CONSTRAINT subscriber_static_delegated_prefix_unique EXCLUDE USING gist (static_delegated_prefix inet_ops WITH &&)
    WHERE (static_delegated_prefix IS NOT NULL AND released_at IS NULL);
COMMENT ON COLUMN subscriber.static_framed_prefix IS 'prefix of the link, in place of one of the pool';
COMMENT ON COLUMN subscriber.static_delegated_prefix IS 'prefix for the network behind the subscriber, in place of one of the pool';
CREATE INDEX subscriber_static_prefix_index ON subscriber (id)
  WHERE static_framed_prefix IS NOT NULL OR static_delegated_prefix IS NOT NULL;

-- Row by row, so that a change of anything else costs nothing.
CREATE FUNCTION sluice_subscriber_prefix_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.key_changed_at := now();
  INSERT INTO change_feed (kind, ref) VALUES ('subscriber', NEW.id);
  INSERT INTO subscriber_event (subscriber_id, account_id, field, old_value, new_value)
    SELECT NEW.id, NEW.account_id, f.field, f.old_value, f.new_value
    FROM (VALUES
      ('static_framed_prefix', OLD.static_framed_prefix::text, NEW.static_framed_prefix::text),
      ('static_delegated_prefix', OLD.static_delegated_prefix::text, NEW.static_delegated_prefix::text)
    ) AS f (field, old_value, new_value)
    WHERE f.old_value IS DISTINCT FROM f.new_value;
  PERFORM pg_notify('sluice_change', '');
  RETURN NEW;
END $$;
CREATE TRIGGER subscriber_prefix_changed BEFORE UPDATE OF static_framed_prefix, static_delegated_prefix ON subscriber FOR EACH ROW
  WHEN (OLD.static_framed_prefix IS DISTINCT FROM NEW.static_framed_prefix
    OR OLD.static_delegated_prefix IS DISTINCT FROM NEW.static_delegated_prefix)
  EXECUTE FUNCTION sluice_subscriber_prefix_changed();

CREATE FUNCTION sluice_subscriber_prefixes_apart() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  other text;
BEGIN
  SELECT s.login INTO other FROM subscriber s
    WHERE s.id <> NEW.id AND s.released_at IS NULL AND s.static_delegated_prefix && NEW.static_framed_prefix LIMIT 1;
  IF NOT FOUND THEN
    SELECT s.login INTO other FROM subscriber s
      WHERE s.id <> NEW.id AND s.released_at IS NULL AND s.static_framed_prefix && NEW.static_delegated_prefix LIMIT 1;
  END IF;
  IF FOUND THEN
    RAISE EXCEPTION 'a static prefix overlaps one of %', other
      USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'subscriber_static_prefixes_apart';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER subscriber_prefixes_apart BEFORE INSERT OR UPDATE OF static_framed_prefix, static_delegated_prefix, released_at ON subscriber
  FOR EACH ROW WHEN ((NEW.static_framed_prefix IS NOT NULL OR NEW.static_delegated_prefix IS NOT NULL) AND NEW.released_at IS NULL)
  EXECUTE FUNCTION sluice_subscriber_prefixes_apart();
`;

const sessions = `
ALTER TABLE session ADD COLUMN framed_prefix cidr, ADD COLUMN delegated_prefix cidr, ADD COLUMN interface_id text;
ALTER TABLE session_history ADD COLUMN framed_prefix cidr, ADD COLUMN delegated_prefix cidr, ADD COLUMN interface_id text;
COMMENT ON COLUMN session.framed_prefix IS
  'Framed-IPv6-Prefix as its NAS told it; where it told only a Framed-IPv6-Address, that address as a /128';
COMMENT ON COLUMN session.delegated_prefix IS 'Delegated-IPv6-Prefix as its NAS told it';
COMMENT ON COLUMN session.interface_id IS 'Framed-Interface-Id as its NAS told it';

-- Who had a prefix in which an address lies: only prefixes are in it, so whoever has none pays nothing.
CREATE INDEX assignment_prefix_index ON assignment USING gist (address inet_ops) WHERE kind <> 'ipv4';
`;

// Whoever grants what earlier tables show is called first, whatever it has become meanwhile.
const rights = `
ALTER FUNCTION sluice_grant_page() RENAME TO sluice_grant_page_before_ipv6;
CREATE FUNCTION sluice_grant_page() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT sluice_grant_page_before_ipv6() THEN RETURN false; END IF;
  GRANT SELECT (static_framed_prefix, static_delegated_prefix) ON subscriber TO sluice_page;
  RETURN true;
END $$;
COMMENT ON FUNCTION sluice_grant_page IS 'gives the role sluice_page, if there is one, what the page reads; false: there is none';
SELECT sluice_grant_page();
`;

export async function up(knex) {
  for (const part of [pools, plans, subscribers, sessions, rights]) await knex.raw(part);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
