// A linked clone, from the call to the started machine. Three contenders take turns:
//   ours   deployVirtualMachine, until the machine's monitor says `running`, and until /events tells that the job is done
//   floor  qemu-img create + QEMU with the very arguments of our machine, until its monitor says `running`
//   peer   qemu-img create + virsh define + virsh start of a domain with the same machine type, RAM, devices and image
// The main figure goes to the running process, as the floor does; the peer is held against the end of our job, when a
// client may count on the machine.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { argumentsWhere, type BareMachine, bareMachine } from './bare-qemu.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { type Libvirt, LibvirtMachine, startLibvirt } from './libvirt.ts'
import { figure, inTurns, Series, timed } from './measure.ts'

export const linkedClone: Benchmark = {
  name: 'linked-clone',
  about: 'deployVirtualMachine of a linked clone, call to running process; floor: overlay + bare QEMU; peer: libvirt',
  rounds: 40,
  async run(server, rounds) {
    const libvirt = await startLibvirt(join(server.directory, 'libvirt'))
    try {
      return await compare(server, libvirt, rounds)
    } finally {
      await libvirt.close()
    }
  },
}

async function compare(server: BenchServer, libvirt: Libvirt, rounds: number) {
  const template = await server.tiny()
  const { args, bare, domain } = await prepare(server, libvirt, template)
  const series = new Series<'answered' | 'running' | 'done' | 'floor' | 'peer'>()
  let theirs = ''
  await inTurns(rounds, {
    async ours(round) {
      const machine = await server.deploy(template, `linked-${round}`, 'linked')
      for (const name of ['answered', 'running', 'done'] as const) series.note(round, name, machine[name])
      await server.remove(machine)
    },
    async floor(round) {
      series.note(round, 'floor', await timed(() => bare.start()).finally(() => bare.remove()))
    },
    async peer(round) {
      try {
        series.note(round, 'peer', await timed(() => domain.start()))
        theirs ||= await domain.arguments()
      } finally {
        await domain.remove()
      }
    },
  })
  const [running, done, floor] = [series.of('running'), series.of('done'), series.of('floor')]
  return {
    figures: [
      figure('linked-clone', 'ms', running, { floor, limit: 1.3 }),
      figure('linked-clone: call to job end', 'ms', done, { floor }),
      figure('linked-clone: call answered', 'ms', series.of('answered')),
      figure('linked-clone against libvirt', 'ms', done, { peer: series.of('peer'), limit: 1 / 3 }),
    ],
    notes: [
      `ours:  ${args.join(' ')}`,
      `${libvirt.version}:  ${theirs}`,
      domain.xml.trim(),
      'libvirt differs: guest memory in a memfd instead of a file on tmpfs, no port forward, all cards behind root ports, QEMU as root; one virsh does both define and start, which spares it a process.',
    ],
  }
}

/** One machine of ours tells what the others must be like. */
async function prepare(
  server: BenchServer,
  libvirt: Libvirt,
  template: string,
): Promise<{ args: string[]; bare: BareMachine; domain: LibvirtMachine }> {
  const [bareFolder, domainFolder] = ['bare', 'domain'].map(name => join(server.directory, name)) as [string, string]
  await mkdir(bareFolder)
  await mkdir(domainFolder)
  const model = await server.deploy(template, 'model', 'linked')
  const args = await argumentsWhere(each => each.includes(model.id))
  const bare = await bareMachine(args, bareFolder)
  const domain = await LibvirtMachine.prepare(libvirt, domainFolder, bare.base, args)
  await server.remove(model)
  return { args, bare, domain }
}
