// The peer: libvirt, by its daemon started here on a socket of its own and by virsh, as an operator would script it.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { argumentsWhere } from './bare-qemu.ts'

const run = promisify(execFile)
const environment = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, LC_ALL: 'C' }

export interface Libvirt {
  readonly version: string
  virsh(...args: string[]): Promise<string>
  close(): Promise<void>
}

export async function startLibvirt(folder: string): Promise<Libvirt> {
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'libvirtd.conf'),
    `unix_sock_dir = "${folder}"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n`,
  )
  await writeFile(join(folder, 'qemu.conf'), 'user = "root"\ngroup = "root"\n')
  // As root: /dev/kvm that its usual user may not open makes libvirtd probe QEMU anew at every call, for 20 s.
  const daemons = inProcessesOfTheirOwn(
    `mount --bind ${folder}/qemu.conf /etc/libvirt/qemu.conf && ` +
      `{ virtlogd -p ${folder}/virtlogd.pid & libvirtd -f ${folder}/libvirtd.conf -p ${folder}/libvirtd.pid & wait; }`,
  )
  const uri = `qemu+unix:///system?socket=${folder}/libvirt-sock`
  const virsh = async (...args: string[]) =>
    (await run('virsh', ['-q', '-c', uri, ...args], { env: environment })).stdout.trim()
  for (let attempt = 0; ; attempt += 1) {
    const version = await virsh('version').catch(error => {
      if (attempt === 100) throw new Error('libvirtd does not answer', { cause: error })
      return null
    })
    if (version !== null)
      return { version: /libvirt \d\S+/.exec(version)?.[0] ?? version, virsh, close: () => end(daemons) }
    await delay(100)
  }
}

/**
 * In PID and mount namespaces, where the first process is the shell: it collects ended processes at once, and takes all with it when it
 * ends. Under a first process that is slow at that, as in many containers, libvirtd waits for seconds for its probes of
 * QEMU to be gone, which would flatter us.
 */
function inProcessesOfTheirOwn(script: string): ChildProcess {
  const args = ['--fork', '--pid', '--mount-proc', '--kill-child', 'sh', '-c', script]
  return spawn('unshare', args, { stdio: 'ignore', env: environment })
}

async function end(child: ChildProcess): Promise<void> {
  // unshare(1) ignores the politer signals.
  if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
}

/** One domain, defined and started anew each time, on an overlay over `base`. */
export class LibvirtMachine {
  readonly #libvirt: Libvirt
  readonly #folder: string
  readonly #base: string
  readonly name = `ramet-bench-${process.pid}`
  readonly xml: string

  private constructor(libvirt: Libvirt, folder: string, base: string, args: readonly string[]) {
    this.#libvirt = libvirt
    this.#folder = folder
    this.#base = base
    this.xml = domainXml(this.name, folder, args)
  }

  /** A twin of the machine that `args` start. libvirt gives disks to a user of its own, so it gets files of its own. */
  static async prepare(
    libvirt: Libvirt,
    folder: string,
    base: string,
    args: readonly string[],
  ): Promise<LibvirtMachine> {
    await chmod(folder, 0o711)
    await run('cp', ['--sparse=always', base, join(folder, 'base.qcow2')])
    await run('cp', [/"filename":"([^"]+seed\.iso)"/.exec(args.join(' '))?.[1] ?? '', join(folder, 'seed.iso')])
    const machine = new LibvirtMachine(libvirt, folder, join(folder, 'base.qcow2'), args)
    await writeFile(machine.#file, machine.xml)
    return machine
  }

  get #file(): string {
    return join(this.#folder, 'domain.xml')
  }

  get #overlay(): string {
    return join(this.#folder, 'overlay.qcow2')
  }

  /** One virsh for both commands, which is faster than one for each. */
  async start(): Promise<void> {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', this.#base, this.#overlay])
    await this.#libvirt.virsh(`define ${this.#file}; start ${this.name}`)
  }

  /** Starts it, and waits until its guest says on its console that it is up. */
  async boot(): Promise<void> {
    await this.start()
    const told = () => readFile(join(this.#folder, 'console.log'), 'utf8').catch(() => '')
    for (const deadline = Date.now() + 120_000; !(await told()).includes('ramet-tiny ready'); await delay(200))
      if (Date.now() > deadline) throw new Error("libvirt's guest does not come up")
  }

  async remove(): Promise<void> {
    for (const command of ['destroy', 'undefine']) await this.#libvirt.virsh(command, this.name).catch(() => {})
    await rm(this.#overlay, { force: true })
  }

  /** The command line that libvirt made of it. */
  async arguments(): Promise<string> {
    return (await argumentsWhere(args => args.some(each => each.startsWith(`guest=${this.name}`)))).join(' ')
  }
}

function domainXml(name: string, folder: string, args: readonly string[]): string {
  const after = (flag: string) => (args[args.indexOf(flag) + 1] ?? '').split(',')[0] ?? ''
  const rootPorts = args.filter(each => each.startsWith('pcie-root-port,')).length
  const isKvm = after('-accel') === 'kvm'
  return `<domain type='${isKvm ? 'kvm' : 'qemu'}'>
  <name>${name}</name>
  <genid/>
  <memory unit='MiB'>${parseInt(after('-m'), 10)}</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>${after('-smp')}</vcpu>
  <os><type arch='x86_64' machine='${after('-machine')}'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='${isKvm ? 'host-passthrough' : 'maximum'}'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap' detect_zeroes='unmap'/>
      <source file='${folder}/overlay.qcow2'/><target dev='vda' bus='virtio'/><boot order='1'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='${folder}/seed.iso'/><target dev='vdb' bus='virtio'/><readonly/>
    </disk>
    <controller type='usb' model='none'/>
    <controller type='pci' model='pcie-root'/>
${`    <controller type='pci' model='pcie-root-port'/>\n`.repeat(rootPorts)}    <controller type='virtio-serial'/>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='file'><source path='${folder}/console.log'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc'><listen type='socket'/></graphics>
    <video><model type='vga'/></video>
    <rng model='virtio'><backend model='builtin'/></rng>
    <memballoon model='none'/>
  </devices>
</domain>
`
}
