// What the read-only page needs. Enters: the schema of 002. Leaves: indexes for searching people by the beginnings of words, and
// the rights of the role `sluice_page`. Invariants: nothing that the release before uses has changed; the role can read what the
// page shows and nothing else, passwords least of all. Frozen once landed.

// Words by the built-in `simple` dictionary: beginnings of words in any language, without an extension that a provider's
// database may lack. Punctuation becomes space first, for the parser would take `12-34` for a negative number.
const search = `
CREATE FUNCTION sluice_words(name text, address text) RETURNS tsvector
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN to_tsvector('pg_catalog.simple'::regconfig,
    translate(lower(coalesce(name, '') || ' ' || coalesce(address, '')), 'ё.,;:/\\-_()"''@#№+', 'е                 '));
CREATE FUNCTION sluice_phone_key(phone text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN reverse(translate(phone, translate(phone, '0123456789', ''), ''));
COMMENT ON FUNCTION sluice_phone_key IS 'the digits from the last to the first: people leave out what stands before them';

CREATE INDEX account_words_index ON account USING gin (sluice_words(name, address));
CREATE INDEX account_phone_index ON account (sluice_phone_key(phone) text_pattern_ops) WHERE phone IS NOT NULL;
CREATE INDEX account_contract_prefix_index ON account (lower(contract) text_pattern_ops);
CREATE INDEX subscriber_login_prefix_index ON subscriber (lower(login) text_pattern_ops);
CREATE INDEX session_mac_index ON session (mac) WHERE mac IS NOT NULL;
CREATE INDEX access_attempt_login_prefix_index ON access_attempt (lower(login) text_pattern_ops);
`;

// SQL functions with a body that is parsed when they are made came with PostgreSQL 14.
const searchForThirteen = search.replaceAll(/RETURN ((?:to_tsvector|reverse)[\s\S]*?);\n/g, 'AS $$$$SELECT $1$$$$;\n');

const rights = `
CREATE FUNCTION sluice_grant_page() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_page') THEN RETURN false; END IF;
  -- Two servers that start together would change the same rows of the catalogue.
  PERFORM pg_advisory_xact_lock(hashtext('sluice_grant_page'));
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO sluice_page', current_schema());
  GRANT SELECT ON account, plan, pool, pool_network, pool_address, session, session_history, assignment, period,
    subscriber_event, access_attempt, nas, instance, spool_position, set_aside TO sluice_page;
  GRANT SELECT (id, account_id, login, mac, static_address, pool_id, nas_name, associate_pppoe_mac, associate_vpn_ip,
    deleted, deleted_reason, redirect, redirect_reason, own_disabled, own_disabled_reason, admin_blocked,
    admin_blocked_reason, logged, deleted_at, released_at, created_at) ON subscriber TO sluice_page;
  RETURN true;
END $$;
COMMENT ON FUNCTION sluice_grant_page IS 'gives the role sluice_page, if there is one, what the page reads; false: there is none';

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_page')
     AND (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    BEGIN
      CREATE ROLE sluice_page NOLOGIN;
      EXECUTE format('GRANT sluice_page TO %I', current_user);
    EXCEPTION
      -- Another database of the same server was migrated in the same moment; or the right has a limit of its own.
      WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END;
  END IF;
  PERFORM sluice_grant_page();
END $$;
`;

export async function up(knex) {
  const { rows } = await knex.raw(`SELECT current_setting('server_version_num')::int AS number`);
  await knex.raw(rows[0].number >= 140000 ? search : searchForThirteen);
  await knex.raw(rights);
}

export async function down(knex) {
  await knex.raw(`
    DROP INDEX account_words_index, account_phone_index, account_contract_prefix_index, subscriber_login_prefix_index,
      session_mac_index, access_attempt_login_prefix_index;
    DROP FUNCTION sluice_words, sluice_phone_key, sluice_grant_page;`);
}
