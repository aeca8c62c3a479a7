// What the driver is told when it is built, and the words shared by all of its files.

export interface Log {
  info(about: object, message: string): void
  warn(about: object, message: string): void
  error(about: object, message: string): void
}

export interface QemuOptions {
  /** Absolute; each machine has the folder `<runDirectory>/<vm id>`. */
  readonly runDirectory: string
  /** 'auto' proves /dev/kvm by booting a guest in it, and takes TCG where that fails. */
  readonly acceleration: 'auto' | 'kvm' | 'tcg'
  /** First of the user ids that accounts get, when the server runs as root. */
  readonly uidBase?: number
  readonly log: Log
}

/** Above the ranges of systemd-nspawn (to 1 878 982 656) and of subordinate ids: https://systemd.io/UIDS-GIDS */
export const defaultUidBase = 1_900_000_000

export type Accelerator = 'kvm' | 'tcg'
