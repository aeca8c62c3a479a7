// KVM or TCG. A /dev/kvm that opens proves nothing: nested or emulated ones start QEMU and then abort, hang, or interpret
// firmware twenty times slower than TCG. So a small guest is booted from a disk, by the firmware and CPU model that machines
// get, as a user without rights, and must report within ten times what real KVM needs.
import { mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootDisk, probeExitCode, probePort } from './boot-sector.ts'
import { asMessage } from './json-socket.ts'
import { qemuProgram } from '../host.ts'
import type { Installed } from '../host.ts'
import type { Accelerator, Log, QemuOptions } from '../options.ts'
import { bootId } from './process.ts'
import type { Identity } from './privileges.ts'
import { lastLine, runTool } from './tools.ts'

const bootLimitMs = 3000

/** Identity of a process that may use KVM: the group of /dev/kvm in place of its own, where the server can give it. */
export async function withKvmGroup(identity: Identity | null): Promise<Identity | null> {
  if (!identity) return null
  const device = await stat('/dev/kvm').catch(() => null)
  return device && device.gid !== 0 ? { ...identity, gid: device.gid } : identity
}

export async function chooseAccelerator(
  { acceleration, runDirectory, log }: QemuOptions,
  installed: Installed,
  identity: Identity | null,
): Promise<Accelerator> {
  if (acceleration !== 'auto') return acceleration
  // The verdict holds until the host boots again or gets another QEMU.
  const file = join(runDirectory, '..', 'acceleration.json')
  const known = await readVerdict(file)
  if (known?.boot === bootId && known.version === installed.version) return known.accelerator
  const accelerator = await prove(installed, await withKvmGroup(identity), log)
  await writeFile(`${file}.part`, JSON.stringify({ boot: bootId, version: installed.version, accelerator }))
  await rename(`${file}.part`, file)
  return accelerator
}

interface Verdict {
  readonly boot: string
  readonly version: string
  readonly accelerator: Accelerator
}

async function readVerdict(file: string): Promise<Verdict | null> {
  try {
    const { boot, version, accelerator } = asMessage(JSON.parse(await readFile(file, 'utf8')))
    if (accelerator !== 'kvm' && accelerator !== 'tcg') return null
    return { boot: String(boot), version: String(version), accelerator }
  } catch {
    return null
  }
}

async function prove(installed: Installed, identity: Identity | null, log: Log): Promise<Accelerator> {
  if (!(await stat('/dev/kvm').catch(() => null))) {
    log.info({}, 'guests run under TCG: there is no /dev/kvm')
    return 'tcg'
  }
  const refusal = await bootFails('kvm', installed, identity)
  if (!refusal) return 'kvm'
  log.warn({ refusal }, 'guests run under TCG: a trial guest did not boot under KVM')
  return 'tcg'
}

/** Why a trial guest does not boot; null when it does. */
export async function bootFails(
  accelerator: Accelerator,
  { machineType }: Installed,
  identity: Identity | null,
): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-probe-'))
  try {
    const disk = join(folder, 'disk')
    await writeFile(disk, bootDisk(), { mode: 0o444 })
    const file = await open(disk)
    const args = probeArguments(accelerator, machineType)
    try {
      const { code, stderr } = await runTool(qemuProgram, args, { identity, timeoutMs: bootLimitMs, file: file.fd })
      return code === probeExitCode ? null : lastLine(stderr) || `QEMU ended with code ${code}`
    } finally {
      await file.close()
    }
  } catch (error) {
    return String(error)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function probeArguments(accelerator: Accelerator, machineType: string): string[] {
  const disk = {
    'node-name': 'disk',
    driver: 'raw',
    'read-only': true,
    file: { driver: 'file', filename: '/proc/self/fd/3' },
  }
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', machineType, '-m', '64'],
    ...['-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
    ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk,bootindex=0'],
    ...['-device', `isa-debug-exit,iobase=${probePort},iosize=1`],
  ]
}
