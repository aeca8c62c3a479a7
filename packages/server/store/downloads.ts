// Files that whoever knows a token may fetch for a while. The database keeps only the token's hash; the token itself is in the
// input of the job that offers the file, sealed.
import type { AccountId, Id, TemplateId, VolumeId } from '@ramet/core/ids.ts'
import type { Db } from './database.ts'
import type { Row } from './tables.ts'

export type DownloadId = Id<'download'>

export interface NewDownload {
  readonly id: DownloadId
  readonly tokenHash: string
  readonly account: AccountId
  /** Absolute. */
  readonly file: string
  /** What the file is called where it arrives. */
  readonly fileName: string
  /** The file was made for this download, and goes with it. */
  readonly isTemporary: boolean
  readonly template?: TemplateId
  readonly seconds: number
}

/** May be repeated: a download that is there stays as it is. */
export async function offerDownload(db: Db, download: NewDownload): Promise<void> {
  await db
    .insertInto('download')
    .values({
      id: download.id,
      account_id: download.account,
      token_hash: download.tokenHash,
      file: download.file,
      file_name: download.fileName,
      is_temporary: download.isTemporary,
      template_id: download.template ?? null,
      expires: new Date(Date.now() + download.seconds * 1000),
    })
    .onConflict(conflict => conflict.column('id').doNothing())
    .execute()
}

/** What `account` was offered of a volume so far expires; its files go as those of any download that has. */
export async function endOffers(db: Db, account: AccountId, volume: VolumeId): Promise<void> {
  await db
    .updateTable('download')
    .set({ expires: new Date() })
    .where('account_id', '=', account)
    .where('is_temporary', '=', true)
    .where('file', 'like', `%/${volume}-%`)
    .execute()
}

export async function downloadByToken(db: Db, tokenHash: string): Promise<Row<'download'> | undefined> {
  return db
    .selectFrom('download')
    .selectAll()
    .where('token_hash', '=', tokenHash)
    .where('expires', '>', new Date())
    .executeTakeFirst()
}

export async function expiredDownloads(db: Db): Promise<Row<'download'>[]> {
  return db.selectFrom('download').selectAll().where('expires', '<=', new Date()).execute()
}

export async function forgetDownload(db: Db, id: DownloadId): Promise<void> {
  await db.deleteFrom('download').where('id', '=', id).execute()
}

/** A template that goes takes its downloads along. */
export async function forgetDownloadsOf(db: Db, template: TemplateId): Promise<void> {
  await db.deleteFrom('download').where('template_id', '=', template).execute()
}
