// All guest networks of this host. What is asked of one network happens in turn. The files are written first, and then the kernel, dnsmasq
// and the forwarder are made to agree with them: so a repeat, a later server and the keeper's look all do the same.
import { chmod, mkdir, rm } from 'node:fs/promises'
import type { NetworkId, NicId, VmId } from '@ramet/core/ids.ts'
import type { NicSpec } from '../../driver.ts'
import type { Networks, NetworkSpec } from '../../networks.ts'
import type { Log } from '../options.ts'
import type { SshPorts } from '../process/ports.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { Turns } from '../machines/turns.ts'
import { findAgain, observeNetworks, troubleOf } from './condition.ts'
import { giveUp, serve, serveAnew, servingProcess, stopServing, tell } from './dnsmasq.ts'
import * as files from './folder.ts'
import { Forwards } from './forwards.ts'
import { admission } from './guard.ts'
import { findHolders } from './holders.ts'
import { endKeeper, ensureKeeper } from './keeper.ts'
import { furnish, guard, isInside, isNamespace, makeSegment, removeSegment, tapsIn } from './segment.ts'
import { parseSubnet } from './subnet.ts'
import { WayOut } from './way-out.ts'

const lookEveryMs = 2000
const turns = new Turns<string>()

export class QemuNetworks {
  readonly #directory: string
  readonly #log: Log
  readonly #forwards: Forwards
  readonly #wayOut: WayOut
  readonly #keeper: NodeJS.Timeout
  readonly #refusal: string | null
  #looking = false
  /** The first look is a thorough one: another server's time may have left anything. */
  #hasLooked = false

  /** `host`: see way-out.ts. */
  constructor(directory: string, refusal: string | null, stranger: Identity, log: Log, host: string | null = null) {
    this.#directory = directory
    this.#refusal = refusal
    this.#log = log
    this.#forwards = new Forwards(directory, stranger)
    this.#wayOut = new WayOut(directory, host)
    this.#keeper = setInterval(() => void this.keep(), lookEveryMs).unref()
  }

  get calls(): Networks {
    return {
      ensure: spec => this.#inTurn(spec.id, () => this.#ensure(spec)),
      remove: id => this.#inTurn(id, () => this.#remove(id)),
      list: async () => {
        this.#require()
        return observeNetworks(this.#directory)
      },
      release: (id, nic) => this.#inTurn(id, () => this.#release(id, nic)),
      setDefault: (id, nic, isDefault) => this.#inTurn(id, () => this.#setDefault(id, nic, isDefault)),
      forward: async forward => {
        this.#require()
        if (!(await files.readSpec(this.#folder(forward.network)))) throw problems.noNetwork(forward.network)
        await this.#forwards.begin(forward)
      },
      unforward: async (address, port) => {
        this.#require()
        await this.#forwards.end(address, port)
      },
      forwards: () => files.readForwards(this.#directory),
    }
  }

  /** Takes cards of a machine in, before it starts or gets them. Answers the ports by which their SSH is reached. */
  async admit(vm: VmId, nics: readonly NicSpec[], name: string): Promise<SshPorts> {
    const ports: [NicId, number][] = []
    for (const nic of nics) {
      if (nic.kind !== 'network' || nic.silent) continue
      const place = { vm, nic: nic.id, mac: nic.mac, address: nic.address, isDefault: nic.isDefault, name }
      await this.#admit(nic.network, { ...place, ...(nic.mbps && { mbps: nic.mbps }) })
      if (nic.forwardSsh) ports.push([nic.id, await this.#forwards.beginSsh(vm, nic)])
    }
    return Object.fromEntries(ports)
  }

  /** Forgets the cards of a machine, and frees its ports for SSH. */
  async dismiss(vm: VmId): Promise<void> {
    if (this.#refusal !== null) return
    await this.#forwards.endAll(({ ssh }) => ssh?.vm === vm)
    for (const id of await files.listNetworks(this.#directory)) {
      const cards = (await files.readMembers(this.#folder(id))).filter(member => member.vm === vm)
      for (const { nic } of cards) await this.#inTurn(id, () => this.#release(id, nic))
    }
  }

  /** Mends whatever was ended or taken away since the last look. */
  async keep(): Promise<void> {
    if (this.#refusal !== null || this.#looking) return
    this.#looking = true
    try {
      for (const { id, trouble } of await observeNetworks(this.#directory, !this.#hasLooked))
        if (trouble) await this.#mend(id, trouble)
      this.#hasLooked = true
      await this.#wayOut.keep()
      await this.#forwards.keep()
    } catch (error) {
      this.#log.warn({ err: error }, 'networks cannot be looked after')
    } finally {
      this.#looking = false
    }
  }

  close(): void {
    clearInterval(this.#keeper)
  }

  #folder(id: NetworkId): files.NetworkFolder {
    return files.networkFolder(this.#directory, id)
  }

  async #inTurn<T>(id: NetworkId, act: () => Promise<T>): Promise<T> {
    this.#require()
    return turns.take(this.#folder(id).path, act)
  }

  #require(): void {
    if (this.#refusal !== null) throw problems.noNetworks(this.#refusal)
  }

  #admit(spec: NetworkSpec, member: files.Member): Promise<void> {
    return this.#inTurn(spec.id, async () => {
      if (!parseSubnet(spec.cidr)?.contains(member.address)) throw problems.addressOutside(spec.cidr, member.address)
      await this.#ensure(spec)
      const folder = this.#folder(spec.id)
      const members = await files.readMembers(folder)
      const others = members.filter(({ nic }) => nic !== member.nic)
      const isTaken = others.some(({ address, mac }) => address === member.address || mac === member.mac)
      if (isTaken || member.address === spec.gateway) throw problems.addressTaken(spec.id, member.address)
      const all = [...others, member]
      await serveAnew(folder, spec, all, member.address)
      await files.writeMember(folder, member)
      const isBraked = member.mbps ?? members.find(({ nic }) => nic === member.nic)?.mbps
      const anew = () => furnish(folder, spec, all)
      // Where an earlier server's guard does not know what this one adds to, the whole is made anew.
      const guarded = isBraked ? anew() : guard(folder, admission(member)).catch(anew)
      await Promise.all([guarded, tell(folder, spec, all)])
    })
  }

  async #ensure(spec: NetworkSpec): Promise<void> {
    if (!parseSubnet(spec.cidr)?.contains(spec.gateway)) throw problems.badNetwork(spec.cidr, spec.gateway)
    const folder = this.#folder(spec.id)
    const known = await files.readSpec(folder)
    if (known && JSON.stringify(known) === JSON.stringify(spec) && (await troubleOf(folder)) === null) return
    await makeFolders(folder)
    await files.writeSpec(folder, spec)
    if (known && !sameServing(known, spec)) await stopServing(folder)
    await this.#settle(folder, spec)
  }

  /** From the files to the kernel. */
  async #settle(folder: files.NetworkFolder, spec: NetworkSpec): Promise<void> {
    const members = await files.readMembers(folder)
    await ensureKeeper(folder.directory)
    await findAgain(folder, members)
    await makeSegment(folder)
    const serving = await servingProcess(folder)
    if (serving && !(await isInside(folder, serving.pid))) await stopServing(folder)
    await furnish(folder, spec, members)
    await this.#wayOut.ensure(folder, spec)
    await serve(folder, spec, members)
    await tell(folder, spec, members)
  }

  async #mend(id: NetworkId, trouble: string): Promise<void> {
    await this.#inTurn(id, async () => {
      const folder = this.#folder(id)
      const spec = await files.readSpec(folder)
      if (!spec || (await troubleOf(folder, await findHolders(await files.readMembers(folder)))) === null) return
      await this.#settle(folder, spec)
      const left = await troubleOf(folder, await findHolders(await files.readMembers(folder)))
      if (left === null) this.#log.warn({ network: id }, `a network ${trouble}, and was mended`)
      else this.#log.error({ network: id }, `a network ${left}`)
    }).catch((error: unknown) => this.#log.error({ network: id, err: error }, `a network ${trouble}`))
  }

  async #remove(id: NetworkId): Promise<void> {
    const folder = this.#folder(id)
    const held = [...(await tapsIn(folder)), ...(await findHolders(await files.readMembers(folder)))]
    if (held.length > 0) throw problems.networkInUse(id)
    await this.#forwards.endAll(({ network }) => network === id)
    await stopServing(folder)
    await this.#wayOut.remove(folder)
    await removeSegment(folder)
    await rm(folder.path, { recursive: true, force: true })
    await endKeeper(this.#directory, async () => (await files.listNetworks(this.#directory)).length === 0)
  }

  async #release(id: NetworkId, nic: NicId): Promise<void> {
    await this.#forwards.endAll(({ ssh }) => ssh?.nic === nic)
    const folder = this.#folder(id)
    const spec = await files.readSpec(folder)
    if (!spec) return
    const members = await files.readMembers(folder)
    const others = members.filter(each => each.nic !== nic)
    for (const each of members) if (each.nic === nic) await giveUp(folder, each.address)
    if (others.length === members.length) return
    await files.forgetMember(folder, nic)
    if (await isNamespace(folder)) await furnish(folder, spec, others)
    await tell(folder, spec, others)
  }

  async #setDefault(id: NetworkId, nic: NicId, isDefault: boolean): Promise<void> {
    const folder = this.#folder(id)
    const [spec, members] = await Promise.all([files.readSpec(folder), files.readMembers(folder)])
    const member = members.find(each => each.nic === nic)
    if (!spec || !member) return
    const changed = { ...member, isDefault }
    await files.writeMember(folder, changed)
    await tell(folder, spec, [...members.filter(each => each !== member), changed])
  }
}

async function makeFolders({ path, nics, leases, names }: files.NetworkFolder): Promise<void> {
  for (const folder of [path, nics, leases, names]) await mkdir(folder, { recursive: true })
  await chmod(path, 0o711)
  await chmod(nics, 0o700)
  for (const folder of [leases, names]) await chmod(folder, 0o755) // dnsmasq reads them as a user of its own
}

const sameServing = (one: NetworkSpec, other: NetworkSpec) =>
  one.cidr === other.cidr &&
  one.gateway === other.gateway &&
  one.domain === other.domain &&
  (one.outward === undefined) === (other.outward === undefined)
