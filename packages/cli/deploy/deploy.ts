// `./ramet deploy`: makes a machine of a template or of any VM snapshot. Whatever the command line does not say is asked for; then the
// plan is shown, and done when it is agreed to. The questions go to standard error, so that standard output has the answer alone.
import type { Fields } from '@ramet/client/api-error.ts'
import { parseArguments } from '../arguments.ts'
import { print } from '../call.ts'
import { connect } from '../connect.ts'
import { UsageError } from '../explain.ts'
import { openProgress } from '../progress.ts'
import { render } from '../render.ts'
import { oneLine } from '../table.ts'
import { readValues } from '../values.ts'
import { Asker } from './ask.ts'
import { demandKnown } from './known.ts'
import { type Answer, type Asking, cloneType, dataVolumes, name, networks, offering, yesOrNo } from './questions.ts'
import { chooseSource } from './source.ts'

export async function deploy(words: string[]): Promise<number> {
  const isYes = words.includes('--yes')
  const invocation = parseArguments(['deploy', ...words.filter(word => word !== '--yes')])
  const client = await connect(invocation)
  const asker = new Asker(process.stdin, process.stderr)
  try {
    const written = lowerCase(invocation.parameters)
    const { virtualmachineid, ...said } = await readValues(written)
    await demandKnown(client, Object.keys(said))
    const source = await chooseSource(client, asker, { ...said, virtualmachineid })
    const parameters = await agreedOn({ client, asker, source, isYes, said }, written)
    asker.close()
    const progress = openProgress(process.stderr)
    const answer: Fields = await client.run('deployVirtualMachine', parameters, progress.show).finally(progress.clear)
    const width = process.stdout.columns ?? Infinity
    print(invocation.json ? JSON.stringify(answer, null, 2) : render('deployVirtualMachine', answer, width))
    return 0
  } finally {
    asker.close()
  }
}

/** Names of parameters count in any case, as they do for the server; those of details keep theirs. */
function lowerCase(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, value]) => [key.includes('[') ? key : key.toLowerCase(), value]),
  )
}

const questions = { name, offering, networks, 'data volumes': dataVolumes, 'clone type': cloneType } as const

/** All parameters of the call, after the plan was agreed to. That shows them as `written`: what a file holds may be a secret. */
async function agreedOn(asking: Asking, written: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const { asker, source, isYes, said } = asking
  let parameters: Record<string, string> = { ...said, [source.parameter]: source.id }
  if (source.parameter === 'templateid') parameters['zoneid'] ??= source.zone
  const plan: [string, string][] = [['from', source.shown]]
  for (const [what, ask] of Object.entries(questions)) {
    const answer: Answer | null = await ask(asking)
    if (!answer) continue
    parameters = { ...parameters, ...answer.parameters }
    plan.push([what, answer.shown])
  }
  plan.push(
    ...Object.keys(said).flatMap((key): [string, string][] =>
      shownAlready.has(key) ? [] : [[key, written[key] ?? '']],
    ),
  )
  asker.say(['', 'The plan', ...plan.map(([what, shown]) => `  ${what.padEnd(14)}${oneLine(shown)}`), ''].join('\n'))
  const isAgreed = isYes || (await asker.ask({ text: 'Deploy it? [y/n]', parameter: '--yes' }, yesOrNo))
  if (!isAgreed) throw new UsageError('Nothing was deployed')
  return parameters
}

const shownAlready = new Set([
  'templateid',
  'vmsnapshotid',
  'name',
  'serviceofferingid',
  'networkids',
  'datavolumes',
  'clonetype',
])
