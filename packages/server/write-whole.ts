// Writes a small private file so that after a crash, or a loss of power, it is there whole or not at all.
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const part = `${file}.part`
  await withHandle(part, 'w', async handle => {
    await handle.writeFile(content)
    await handle.sync()
  })
  await rename(part, file)
  await withHandle(dirname(file), 'r', handle => handle.sync())
}

type Handle = Awaited<ReturnType<typeof open>>

async function withHandle(path: string, flags: string, use: (handle: Handle) => Promise<void>): Promise<void> {
  const handle = await open(path, flags, 0o600)
  await use(handle).finally(() => handle.close())
}
