// Guests that benchmarks clone: `tiny`, when its boot is over.
import { type Fields, type Machine } from '../world.ts'
import type { BenchServer } from './bench-server.ts'

/** SSH is up a while before: then drivers are loaded and cards looked for once more, which all its clones would go on with. */
export const untilBooted =
  'until [ -e /run/coldplug-done ] && pidof uevent >/dev/null && pidof qemu-ga >/dev/null && ! pidof devices ready late coldplug nic >/dev/null; do usleep 100000; done'

/** A running machine with so many MiB of memory. */
export async function cloneSource(server: BenchServer, name: string, memory: number): Promise<Machine> {
  const { world } = server
  const asked = { name, displaytext: name, cpunumber: 1, memory }
  const { serviceoffering } = await world.client.call('createServiceOffering', asked)
  const serviceofferingid = String((serviceoffering as Fields)['id'])
  const machine = await world.deploy(await server.tiny(), name, 'linked', { serviceofferingid })
  await world.awaitSsh(machine)
  await world.ssh(machine, untilBooted)
  return machine
}
