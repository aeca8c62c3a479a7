// Takes back what was offered for download and has expired; files that were made for it go first.
import { rm } from 'node:fs/promises'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'
import { expiredDownloads, forgetDownload } from '../store/downloads.ts'

export interface DownloadWatch {
  sweep(): Promise<void>
  close(): void
}

export function watchDownloads(db: Database, log: Log, everyMs = 60_000): DownloadWatch {
  async function sweep(): Promise<void> {
    for (const { id, file, is_temporary } of await expiredDownloads(db)) {
      if (is_temporary) await rm(file, { force: true })
      await forgetDownload(db, id)
    }
  }
  const timer = setInterval(() => {
    sweep().catch(error => log.warn({ err: error }, 'cannot take back expired downloads'))
  }, everyMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}
