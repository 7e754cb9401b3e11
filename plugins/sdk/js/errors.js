/**
 * It is never going to work: dead letter, with this reason. Thrown by `configure`, it refuses the
 * configuration: `weir check` prints the reason, and the pipeline does not start.
 */
export class Reject extends Error {
  /** @param {string} reason In words, for whoever reads the dead letter. */
  constructor(reason) {
    super(reason);
    this.name = "Reject";
  }
}

/**
 * A passing fault: deliver the message again. After the pipeline's `retry.max-attempts` it becomes
 * a dead letter.
 */
export class Retry extends Error {
  /**
   * @param {string} reason In words, for whoever reads the log.
   * @param {{ afterMs?: number }} [options] Not before so many milliseconds; without, it is left to
   *   the pipeline's backoff.
   */
  constructor(reason, { afterMs } = {}) {
    super(reason);
    this.name = "Retry";
    this.afterMs = afterMs;
  }
}
