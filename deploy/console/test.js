// The console in a real browser. Each check has a name; what it counts or takes stands beside it, and no time is judged.
//
//   node test.js BASE TRACKING LOCKED HALTED [PICTURES]

const { chromium } = require('playwright-core')
const { World } = require('./world.js')

const [base, tracking, locked, halted, pictures] = process.argv.slice(2)
const only = process.env.ONLY || ''
const failures = []
let passed = 0

class Failure extends Error {}
const must = (ok, text) => { if (!ok) throw new Failure(text) }
const same = (got, want, what) => must(JSON.stringify(got) === JSON.stringify(want), `${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)

const checks = []
const check = (name, run) => checks.push({ name, run })

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
  const world = new World({ browser, base, tracking, locked, halted, pictures, must })
  await world.seed()
  require('./checks_frame.js')(check, world, { must, same })
  require('./checks_pages.js')(check, world, { must, same })
  require('./checks_people.js')(check, world, { must, same })
  require('./checks_features.js')(check, world, { must, same })
  require('./checks_sys.js')(check, world, { must, same })
  require('./checks_acts.js')(check, world, { must, same })
  require('./checks_much.js')(check, world, { must, same })
  require('./checks_moments.js')(check, world, { must, same })
  for (const { name, run } of checks) {
    if (only && !only.split('|').some(part => name.includes(part))) continue
    const start = Date.now()
    try {
      const said = await run()
      const noise = world.take()
      if (noise.length > 0) throw new Failure(noise.slice(0, 5).join('; '))
      passed++
      console.log(`ok      ${name}${said ? `: ${said}` : ''} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
    } catch (e) {
      const noise = world.take().slice(0, 3).join('; ')
      failures.push(`FAILED  ${name}: ${e instanceof Failure ? e.message : String(e.stack).slice(0, 900).replace(/\s*\n\s*/g, ' / ')}${noise ? ` (and ${noise})` : ''} at ${world.last?.url()} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
      console.log(failures.at(-1))
      await world.picture(`failed-${failures.length}`)
    }
    await world.closeAll()
  }
  if (pictures && !only) await world.pictures()
  await browser.close()
  for (const f of failures) console.log(f)
  console.log(`${passed} passed, ${failures.length} failed`)
  if (passed + failures.length === 0) console.log(`no check has ${only} in its name`)
  process.exit(failures.length > 0 || passed === 0 ? 1 : 0)
}
main().catch(e => { console.log(e); process.exit(1) })
