/** What a download needs to know. */
export interface DownloadContext {
  /** An empty folder of its own; removed afterwards, whatever happens. */
  readonly workDir: string;
  /** PATH, to find the programs a download may use. */
  readonly searchPath: string;
  /** Takes a line for people. */
  readonly onProgress: (message: string) => void;
}

/** A place a `mongod` can be downloaded from. */
export interface MongodDownload {
  /** For people, e.g. `the official download (MongoDB 7.0.28)`. */
  readonly name: string;
  /**
   * Downloads and verifies a `mongod`.
   *
   * @returns the path of the binary, inside `workDir`
   * @throws MongodSourceError when it cannot be had here
   */
  download(context: DownloadContext): Promise<string>;
}
