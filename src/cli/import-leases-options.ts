/** What `import leases` is asked to do. Enters: nothing. Leaves: one type, shared by the command line and the import. */

/** What is asked for. */
export interface LeaseImportOptions {
  readonly files: readonly string[];
  /** undefined: each file is looked at. */
  readonly format: 'isc' | 'kea' | undefined;
  readonly source: string;
  readonly dryRun: boolean;
}
