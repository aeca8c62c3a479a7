// The CD-ROM drive that every machine has from its first start, empty or not: SATA, for which every guest and every installer has
// a driver. The medium is an ISO on secondary storage, read-only, opened by QEMU as the machine's own user. Changing it asks QEMU
// what is there first, so that it may be done twice, by this server or by the next.
import { setTimeout as sleep } from 'node:timers/promises'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import type { IsoRef } from '../../driver.ts'
import type { BlockNode } from './blockdev.ts'
import type { Machine } from '../machines/machine.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'

const driveId = 'cdrom0'
/** A guest that has locked the drive is asked to let go, and does within a moment if it will. */
const trayLimitMs = 5_000
const lookEveryMs = 50

function isoName({ id }: IsoRef): string {
  return `iso-${id.replaceAll('-', '').slice(0, 24)}`
}

function isoNode(iso: IsoRef): BlockNode {
  // No locks: nobody writes the file, and on a secondary storage of another machine they may not work.
  const file = { driver: 'file', filename: iso.file, 'read-only': true, locking: 'off' }
  return { 'node-name': isoName(iso), driver: 'raw', file, 'read-only': true }
}

/** Root disks are tried first (bootindex 1): one that is empty yet gives way to the CD. */
export function cdromArguments(iso: IsoRef | null): string[] {
  const device = `ide-cd,id=${driveId},bus=ide.0,bootindex=2`
  if (!iso) return ['-device', device]
  return ['-blockdev', JSON.stringify(isoNode(iso)), '-device', `${device},drive=${isoName(iso)}`]
}

/** Before a start, since QEMU would only say that it could not open a file. */
export async function requireIso(iso: IsoRef | null): Promise<void> {
  if (iso) await access(iso.file, constants.R_OK).catch(cause => Promise.reject(problems.isoMissing(iso.file, cause)))
}

export async function changeMedium(
  machine: Machine,
  iso: IsoRef | null,
  force: boolean,
  signal: AbortSignal,
): Promise<void> {
  const qmp = await machine.monitor()
  const drive = await driveOf(qmp)
  if (drive.medium !== (iso && isoName(iso))) {
    await requireIso(iso)
    if (drive.medium !== null) await empty(qmp, drive.medium, force, signal)
    if (iso) await insert(qmp, iso)
  }
  await qmp.execute('blockdev-close-tray', { id: driveId })
}

/** Whether this CD is in the drive, or none where there is none, and nobody is about to change it. */
export async function holdsMedium(qmp: Qmp, iso: IsoRef | null): Promise<boolean> {
  const drive = await driveOf(qmp)
  return !drive.isOpen && drive.medium === (iso && isoName(iso))
}

interface Drive {
  readonly medium: string | null
  readonly isOpen: boolean
}

async function driveOf(qmp: Qmp): Promise<Drive> {
  const found = (await qmp.execute('query-block')).find(({ qdev }) => qdev?.split('/').at(-1) === driveId)
  if (!found) throw problems.noCdrom()
  return { medium: found.inserted?.['node-name'] ?? null, isOpen: found.tray_open ?? false }
}

async function empty(qmp: Qmp, medium: string, force: boolean, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + trayLimitMs
  await qmp.execute('blockdev-open-tray', { id: driveId, force })
  while (!(await driveOf(qmp)).isOpen) {
    if (performance.now() > deadline) throw problems.guestHoldsCdrom(trayLimitMs / 1000)
    await sleep(lookEveryMs, null, { signal })
  }
  await qmp.execute('blockdev-remove-medium', { id: driveId })
  await qmp.execute('blockdev-del', { 'node-name': medium })
}

async function insert(qmp: Qmp, iso: IsoRef): Promise<void> {
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true })
  if (!nodes.some(node => node['node-name'] === isoName(iso))) await qmp.execute('blockdev-add', isoNode(iso))
  await qmp.execute('blockdev-open-tray', { id: driveId, force: true })
  await qmp.execute('blockdev-insert-medium', { id: driveId, 'node-name': isoName(iso) })
}
