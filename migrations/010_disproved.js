// Evidence that turned out to be false. Enters: the schema of 008. Leaves: how often a place was not what its NAS had confirmed, and when that was last
// seen. Invariant: the release before goes on working on it. Frozen once landed.

const columns = `
ALTER TABLE enforcement ADD COLUMN disproved integer NOT NULL DEFAULT 0 CONSTRAINT enforcement_disproved_natural CHECK (disproved >= 0),
  ADD COLUMN disproved_at timestamptz;
COMMENT ON COLUMN enforcement.disproved IS 'how often in a row the NAS had confirmed what was not so: a session that lived on, or a state that was read back otherwise';
CREATE INDEX enforcement_disproved_index ON enforcement (nas_name) WHERE disproved > 0;
`;

export async function up(knex) {
  await knex.raw(columns);
}

export async function down() {
  throw new Error('there is no way back: restore a dump');
}
