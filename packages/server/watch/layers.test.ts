// What a failure left over goes, and nothing else does.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { deployVm } from '../jobs/deploy-vm.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, inventory, type Lab, quiet, run, simulatedLab } from '../testing/lab.ts'

describe('the layer watch', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  test('a layer whose removal failed is removed after the next start, and machines keep theirs', async () => {
    const [kept, orphan] = [await aDeployment(lab, await aTemplate(lab)), await aDeployment(lab, await aTemplate(lab))]
    for (const input of [kept, orphan]) assert.equal((await run(lab, deployVm, input)).state, 'done')
    const layer = orphan.disks[0].layer
    await lab.app.db.updateTable('volume').set({ layer_id: null }).where('layer_id', '=', layer).execute()
    await lab.app.db.updateTable('layer').set({ state: 'removing' }).where('id', '=', layer).execute()
    const earlier = await inventory(lab)
    await lab.restart()
    await quiet(lab)
    const now = await inventory(lab)
    assert.ok(!now.files.includes(layer))
    assert.deepEqual(
      now.layers,
      earlier.layers.filter(({ id }) => id !== layer),
    )
  })
})
