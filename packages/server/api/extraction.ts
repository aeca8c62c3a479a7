// What the extract commands have in common: a token for a file that will be offered, and the address that it makes.
import { newId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { randomToken, sha256 } from '../secrets.ts'
import type { DownloadId } from '../store/downloads.ts'
import { string, view } from './view.ts'

/** For the input of a job. The token itself is sealed: inputs are in the database. */
export interface Ticket {
  readonly id: DownloadId
  readonly tokenHash: string
  readonly sealedToken: string
  readonly seconds: number
}

export function newTicket(app: App): Ticket {
  const token = randomToken(32)
  const seconds = app.settings.number('extract.url.expiration.interval')
  return { id: newId<'download'>(), tokenHash: sha256(token), sealedToken: app.secrets.seal(token), seconds }
}

/** Where whoever is told this may fetch the file. */
export function addressOf(app: App, { sealedToken }: Ticket, fileName: string): string {
  const base = app.settings.text('endpoint.url') || app.address.url
  return `${base.replace(/\/+$/, '')}/download/${app.secrets.unseal(sealedToken)}/${encodeURIComponent(fileName)}`
}

/** A name that is safe in a header and on any disk. */
export function fileNameOf(name: string, extension: string): string {
  return `${name.replaceAll(/[^\w.-]+/g, '-').slice(0, 100)}.${extension.toLowerCase()}`
}

export interface Extracted {
  readonly id: string
  readonly name: string
  readonly accountId: string
  readonly zoneId: string
  readonly zoneName: string
  readonly url: string
}

/** The answer of an extract command, under the name of what was extracted. */
export const extractView = (object: 'template' | 'iso' | 'volume') =>
  view<Extracted>(object, {
    id: string('the id of what was extracted', each => each.id),
    name: string('its name', each => each.name),
    accountid: string('the account that owns it', each => each.accountId),
    zoneid: string('its zone', each => each.zoneId),
    zonename: string('the name of its zone', each => each.zoneName),
    extractMode: string('HTTP_DOWNLOAD', () => 'HTTP_DOWNLOAD'),
    state: string('DOWNLOAD_URL_CREATED', () => 'DOWNLOAD_URL_CREATED'),
    url: string('where it can be fetched, without any other login, until it expires', each => each.url),
  })
