// What `./ramet`, `./ramet help` and `./ramet --version` print.
import { readFile } from 'node:fs/promises'

const text = `Ramet clones and snapshots virtual machines, and speaks the CloudStack API.

  ./ramet demo [--json] [--keep]      shows what it can do, on real machines
  ./ramet serve [--data-dir DIR] [--listen HOST:PORT] [--database-url URL]
                                      runs the server
  ./ramet serve --simulate HOSTS      runs a cloud of so many simulated hosts
  ./ramet deploy [KEY=VALUE...] [--yes]
                                      makes a machine of a template or of a VM snapshot, and asks for what is missing
  ./ramet doctor                      compares database, files and processes
  ./ramet bench [NAME] [--json]       measures what we promise
  ./ramet test [--all] [FILTER...]    runs the tests whose file names contain a FILTER
  ./ramet COMMAND [KEY=VALUE...]      calls any API command and waits for its job, as in
                                      ./ramet listVirtualMachines state=Running
                                      KEY=@FILE is what a file holds, KEY=@- what comes on standard input, KEY=@@TEXT is @TEXT

Options of an API command
  --json           prints the server's answer as it is
  --data-dir DIR   the server to call is the one that keeps its data there
                   (else RAMET_DATA_DIR, else /var/lib/ramet or ~/.local/share/ramet)
  --url URL        the server to call is this; RAMET_APIKEY and RAMET_SECRETKEY hold the keys

./ramet listApis lists all commands.
`

export async function help(): Promise<number> {
  process.stdout.write(text)
  return 0
}

export async function version(): Promise<number> {
  const file = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  process.stdout.write(`Ramet ${(JSON.parse(file) as { version: string }).version}\n`)
  return 0
}
