/** The decoded code of one linear page that shows one physical page in one mode. */
export class CodePage {
  readonly linearPage: bigint;
  readonly physicalPage: number;
  readonly modeKey: number;
  /** Offset in the page → record of the instruction that begins there. */
  readonly records = new Map<number, number>();
  /** Branches of this page whose target on this page is not decoded yet: offset → records. */
  readonly openLinks = new Map<number, number[]>();
  /** Runs of records in the arena: first record and how many, pseudo-records included. */
  readonly runs: { readonly first: number; readonly count: number }[] = [];
  /** Instructions that go over the page's end: record → physical page of their last byte. */
  readonly crossing = new Map<number, number>();

  constructor(linearPage: bigint, physicalPage: number, modeKey: number) {
    this.linearPage = linearPage;
    this.physicalPage = physicalPage;
    this.modeKey = modeKey;
  }
}
