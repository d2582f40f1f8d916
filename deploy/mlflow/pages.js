// MLflow's own pages in a real browser: every page is opened, read and written by. A request that fails, an error in the
// console, or a page that does not show what it should, is a failure.
//
//   node pages.js BASE IDS [PICTURES]     IDS is a file of what pages.py has printed, PICTURES a folder for what was seen
//
// ONLY='run|model' in the environment opens those alone whose names match; CHROMIUM is where the browser is.

const fs = require('fs')
const path = require('path')
const { chromium } = require('playwright-core')

const [base, idsFile, pictures] = process.argv.slice(2)
const ids = JSON.parse(fs.readFileSync(idsFile, 'utf8'))
const waitMillis = 120000

// Said by the page itself about its own drawing, in any server's hands.
const harmless = [/ResizeObserver loop/]

const failures = []
let at = '' // what is being done
const fail = text => { failures.push(`${at}: ${text}`); console.log(`FAILED  ${at}: ${text}`) }

// watch makes failures of what goes wrong in a page. expected are parts of addresses that are asked in vain on purpose.
function watch(page, expected = []) {
  const known = url => expected.some(part => url.includes(part))
  page.on('console', m => {
    if (m.type() === 'error' && !harmless.some(h => h.test(m.text())) && !known(m.location().url || '')) fail(`console: ${m.text().slice(0, 400)}`)
  })
  page.on('pageerror', e => { if (!harmless.some(h => h.test(String(e)))) fail(`error: ${String(e).slice(0, 400)}`) })
  page.on('requestfailed', r => {
    const why = (r.failure() || {}).errorText || ''
    if (why !== 'net::ERR_ABORTED') fail(`${r.method()} ${r.url()}: ${why}`) // the page went elsewhere
  })
  page.on('response', async r => {
    if (r.status() >= 400 && !known(r.url())) fail(`${r.status()} ${r.request().method()} ${r.url().replace(base, '')} ${(await r.text().catch(() => '')).slice(0, 200)}`)
    if (r.url().endsWith('/graphql') && r.status() === 200) {
      const answer = await r.json().catch(() => ({}))
      if (answer.errors && !known('graphql')) fail(`graphql: ${JSON.stringify(answer.errors).slice(0, 300)}`)
    }
  })
}

const picture = async (page, name) => { if (pictures) await page.screenshot({ path: path.join(pictures, name + '.png') }) }
const settled = async page => {
  await page.waitForLoadState('networkidle', { timeout: 2000 }).catch(() => {}) // some ask again for ever
  if (await page.getByText(/something went wrong|error occurred/i).count() > 0) fail('the page says that something went wrong')
}

// shows waits until a page has each text.
async function shows(page, ...texts) {
  for (const text of texts) {
    await page.getByText(text).locator('visible=true').first().waitFor({ timeout: waitMillis }).catch(() => fail(`does not show ${text}`))
  }
}

// answered does something and waits for the answer of the request that it makes.
async function answered(page, part, act) {
  const [response] = await Promise.all([page.waitForResponse(r => r.url().includes(part), { timeout: waitMillis }), act()])
  if (response.status() !== 200) fail(`${part} is answered ${response.status()}`)
}

const E = ids.experiment, R = ids.parent, S = ids.second, M = ids.model, N = ids.name, own = ids.own
const runsOf = (list, experiments) => `/#/compare-runs?runs=${encodeURIComponent(JSON.stringify(list))}&experiments=${encodeURIComponent(JSON.stringify(experiments))}`

// Every page, and what it must show.
const pages = [
  ['home', '/', ['Recent Experiments', ids.experiment_name]],
  ['experiments', '/#/experiments', [ids.experiment_name, 'movie_recommendation_experiment', 'Default']],
  ['experiment', `/#/experiments/${E}`, [ids.experiment_name]],
  ['runs', `/#/experiments/${E}/runs`, ['parent', 'second', 'still running', 'broken', 'forty']],
  ['charts', `/#/experiments/${E}/runs?compareRunsMode=CHART`, ['loss']],
  ['artifact-view', `/#/experiments/${E}/runs?compareRunsMode=ARTIFACT`, ['table.json']],
  ['logged-models', `/#/experiments/${E}/models`, ['clf']],
  ['traces', `/#/experiments/${E}/traces`, []],
  ['overview', `/#/experiments/${E}/overview`, []],
  ['evaluation-runs', `/#/experiments/${E}/evaluation-runs`, []],
  ['datasets', `/#/experiments/${E}/datasets`, []],
  ['prompts-of-experiment', `/#/experiments/${E}/prompts`, []],
  ['judges', `/#/experiments/${E}/judges`, []],
  ['sessions', `/#/experiments/${E}/chat-sessions`, []],
  ['run', `/#/experiments/${E}/runs/${R}`, ['About this run', 'Finished', 'forty (', 'child-2', 'sweep', N, 'whole']],
  ['run-metrics', `/#/experiments/${E}/runs/${ids.child}/model-metrics`, ['loss', 'acc']],
  ['run-system', `/#/experiments/${E}/runs/${ids.child}/system-metrics`, ['cpu_utilization_percentage']],
  ['run-traces', `/#/experiments/${E}/runs/${R}/traces`, []],
  ['run-artifacts', `/#/experiments/${E}/runs/${R}/artifacts`, ['conf.json', 'notes', 'table.json']],
  ['compare', runsOf([R, S, ids.child], [E]), ['Comparing 3 Runs from 1 Experiment', 'parent', 'second']],
  ['logged-model', `/#/experiments/${E}/models/${M}`, ['clf', 'Ready', 'f1']],
  ['logged-model-artifacts', `/#/experiments/${E}/models/${M}/artifacts`, ['MLmodel', 'requirements.txt']],
  ['logged-model-traces', `/#/experiments/${E}/models/${M}/traces`, []],
  ['models', '/#/models', [N, 'als', 'movie_predictor']],
  ['model', `/#/models/${N}`, ['Version 1', 'Version 2']],
  ['version', `/#/models/${N}/versions/1`, ['Schema', 'Inputs (3)', 'Outputs (1)']],
  ['compare-versions', `/#/compare-model-versions?name=${encodeURIComponent(JSON.stringify(N))}&runs=${encodeURIComponent(JSON.stringify({ 1: R, 2: S }))}`, [N]],
  ['prompts', '/#/prompts', []],
  ['settings', '/#/settings', []],
  ['webhooks', '/#/settings/webhooks', []],
  // What this program trained itself.
  ['own-runs', `/#/experiments/${own.experiment}/runs`, ['als', 'movie_predictor', 'interactions']],
  ['own-run', `/#/experiments/${own.experiment}/runs/${own.run}`, ['movie_training_pipeline', 'interactions (', 'Trained by the workflow run', 'Finished']],
  ['own-metrics', `/#/experiments/${own.experiment}/runs/${own.run}/model-metrics`, ['ndcg@10']],
  ['own-artifacts', `/#/experiments/${own.experiment}/runs/${own.run}/artifacts`, ['evaluation', 'model']],
  ['own-compare', runsOf([own.run, own.baseline], [own.experiment]), ['Comparing 2 Runs from 1 Experiment']],
  ['own-model', '/#/models/als', ['Version 1']],
  ['own-version', '/#/models/als/versions/1', ['Schema', 'Inputs (2)', 'Outputs (2)', 'champion']],
  // What is not there is said to be so.
  ['no-run', `/#/experiments/${E}/runs/${'0'.repeat(32)}`, ['not found'], ['graphql']],
  ['no-experiment', '/#/experiments/999999999999999999', ['No Experiment with id=999999999999999999 exists'], ['graphql']],
  ['no-model', '/#/models/none-such', [], ['registered-models/get']],
]

// What people do by the pages, each in a browser of its own.
const acts = {
  async 'preview artifacts'(page) {
    await page.goto(`${base}/#/experiments/${E}/runs/${R}/artifacts`)
    const open = file => answered(page, 'get-artifact', () => page.getByText(file, { exact: true }).first().click())
    await open('conf.json')
    await shows(page, '"a": 1')
    await open('page.html')
    await page.frameLocator('iframe').getByText('a heading').waitFor().catch(() => fail('the page of HTML is not shown'))
    await open('table.json')
    await shows(page, 'question')
    await page.getByText('notes', { exact: true }).first().click()
    await open('a.txt')
    await shows(page, 'hello')
    await open('img.png')
    await page.waitForFunction(() => [...document.images].some(i => i.naturalWidth === 60)).catch(() => fail('the image is not shown'))
    await picture(page, 'artifact-image')
  },
  async 'look at the past'(page) { // before MLflow's client has logged anything
    await page.goto(`${base}/at/${ids.before}/#/models`)
    await shows(page, 'als', 'movie_predictor')
    if (await page.getByRole('link', { name: N, exact: true }).count() > 0) fail('a model is there before it was registered')
    await page.goto(`${base}/at/${ids.before}/#/experiments/${own.experiment}/runs/${own.run}`)
    await shows(page, 'About this run', 'movie_training_pipeline')
    await picture(page, 'past')
  },
  async 'filter, sort and group runs'(page) {
    await page.goto(`${base}/#/experiments/${E}/runs`)
    await shows(page, 'parent', 'second')
    const search = page.getByPlaceholder(/metrics.rmse/)
    await search.fill('params.lr = "9"')
    await answered(page, 'runs/search', () => search.press('Enter'))
    await page.getByRole('link', { name: 'parent', exact: true }).waitFor({ state: 'hidden' }).catch(() => fail('the filter leaves what does not fit'))
    await shows(page, 'second')
    await search.fill('')
    await answered(page, 'runs/search', () => search.press('Enter'))
    await page.getByRole('button', { name: /Sort:/ }).click()
    await answered(page, 'runs/search', () => page.getByText('loss', { exact: true }).last().click())
    await page.keyboard.press('Escape')
    await picture(page, 'runs-sorted')
    await page.getByRole('button', { name: 'Group by' }).click()
    await page.getByText('Dataset', { exact: true }).last().click()
    await page.keyboard.press('Escape')
    await shows(page, /forty/)
    await picture(page, 'runs-grouped')
  },
  async 'create and delete an experiment'(page) {
    const name = 'made-by-page'
    await page.goto(`${base}/#/experiments`)
    await page.getByRole('button', { name: 'Create', exact: true }).first().click()
    await page.getByPlaceholder('Input an experiment name').fill(name)
    await answered(page, 'experiments/create', () => page.getByRole('dialog').getByRole('button', { name: 'Create' }).click())
    await page.goto(`${base}/#/experiments`)
    await shows(page, name)
    await page.getByRole('row', { name: new RegExp(name) }).getByRole('checkbox').click()
    await page.getByRole('button', { name: 'Delete', exact: true }).first().click()
    await answered(page, 'experiments/delete', () => page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click())
    await page.getByRole('row', { name: new RegExp(name) }).waitFor({ state: 'hidden' }).catch(() => fail('the experiment is there after it was deleted'))
  },
  async 'rename an experiment'(page) {
    const made = await page.request.post(`${base}/api/2.0/mlflow/experiments/create`, { data: { name: 'named-at-first' } })
    const id = (await made.json()).experiment_id
    await page.goto(`${base}/#/experiments/${id}/runs`)
    await shows(page, 'named-at-first')
    await page.getByRole('button', { name: 'Open header dropdown menu' }).first().click()
    await page.getByRole('menuitem', { name: 'Edit experiment' }).click()
    await page.getByRole('dialog').getByRole('textbox').first().fill('named-by-page')
    await answered(page, 'experiments/update', () => page.getByRole('dialog').getByRole('button', { name: 'Save' }).click())
    await shows(page, 'named-by-page')
    await page.goto(`${base}/#/experiments`)
    await shows(page, 'named-by-page')
    if (await page.getByText('named-at-first', { exact: true }).count() > 0) fail('the name of before is there too')
    await picture(page, 'experiment-renamed')
  },
  async 'rename, delete and restore a run'(page) {
    await page.goto(`${base}/#/experiments/${E}/runs/${S}`)
    await shows(page, 'About this run')
    const menu = page.getByRole('button', { name: 'Open header dropdown menu' })
    await menu.click()
    await page.getByRole('menuitem', { name: 'Rename' }).click()
    await page.getByRole('dialog').getByRole('textbox').fill('renamed')
    await answered(page, 'runs/update', () => page.getByRole('dialog').getByRole('button', { name: 'Save' }).click())
    await shows(page, 'renamed')
    await menu.click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await answered(page, 'runs/delete', () => page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click())
    await page.goto(`${base}/#/experiments/${E}/runs`)
    await shows(page, 'parent')
    await page.getByText(/State:/).first().click()
    await answered(page, 'runs/search', () => page.getByRole('option', { name: 'Deleted' }).click())
    await shows(page, 'renamed', 'gone')
    await page.getByRole('checkbox', { name: 'Select all runs' }).click()
    await page.getByRole('button', { name: 'Restore' }).click()
    await answered(page, 'runs/restore', () => page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click())
    await page.goto(`${base}/#/experiments/${E}/runs/${S}`)
    await shows(page, 'About this run', 'renamed')
  },
  async 'describe and tag a run'(page) {
    await page.goto(`${base}/#/experiments/${E}/runs/${S}`)
    await page.getByRole('button', { name: 'Edit description' }).click()
    await page.getByTestId('text-area').fill('said by a page')
    await answered(page, 'runs/set-tag', () => page.getByRole('button', { name: 'Save', exact: true }).click())
    await shows(page, 'said by a page')
    await page.getByRole('button', { name: 'Add tags' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('combobox').fill('seen')
    await page.keyboard.press('Enter')
    await dialog.getByPlaceholder('Value').fill('by a page')
    await dialog.getByRole('button', { name: 'Add tag' }).click()
    await answered(page, 'runs/set-tag', () => dialog.getByRole('button', { name: 'Save tags' }).click())
    await shows(page, 'by a page')
  },
  async 'register, tag and delete a model'(page) {
    const name = 'model-by-page'
    await page.goto(`${base}/#/models`)
    await page.getByRole('button', { name: 'Create Model' }).click()
    await page.getByRole('dialog').getByRole('textbox').fill(name)
    await answered(page, 'registered-models/create', () => page.getByRole('dialog').getByRole('button', { name: 'Create' }).click())
    await page.goto(`${base}/#/models/${name}`)
    await page.getByText('Tags', { exact: true }).first().click() // it is folded where there are none
    await page.getByLabel('tag name').fill('owner')
    await page.getByLabel('tag value').fill('page')
    await answered(page, 'registered-models/set-tag', () => page.getByRole('button', { name: 'Add', exact: true }).first().click())
    await page.getByRole('button', { name: 'Open header dropdown menu' }).click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await answered(page, 'registered-models/delete', () => page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click())
  },
  async 'give a version an alias, and a stage'(page) {
    await page.goto(`${base}/#/models/${N}/versions/2`)
    await shows(page, 'Schema')
    await page.getByTestId('descriptions-item').filter({ hasText: 'Aliases' }).getByRole('button').click()
    await page.getByRole('dialog').getByRole('combobox').fill('challenger')
    await page.keyboard.press('Enter')
    await answered(page, 'registered-models/alias', () => page.getByRole('dialog').getByRole('button', { name: 'Save aliases' }).click())
    await shows(page, 'challenger')
    await page.getByRole('button', { name: 'New model registry UI' }).or(page.getByRole('switch')).first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
    await page.getByTestId('descriptions-item').filter({ hasText: 'Stage' }).getByText('None').click()
    await page.getByText(/Transition to/).filter({ hasText: 'Staging' }).click()
    await answered(page, 'model-versions/transition-stage', () => page.getByRole('dialog').getByRole('button', { name: 'OK' }).click())
    await shows(page, 'Staging')
    await picture(page, 'version-staged')
  },
}

// Asked in vain by what a page does, with any server: whether a name is free, and what it has just deleted.
const askedInVain = { 'rename an experiment': ['experiments/get-by-name'], 'create and delete an experiment': ['experiments/get-by-name'], 'register, tag and delete a model': ['registered-models/get'] }

async function main() {
  if (pictures) fs.mkdirSync(pictures, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
  const context = async width => {
    const c = await browser.newContext({ viewport: { width, height: 900 } })
    await c.addInitScript(() => { // the panel of an assistant that there is none of; training, not language models
      if (window.origin === 'null') return // the frame of an artifact
      localStorage.setItem('_mlflow_model_registry_promo_modal_dismissed_v1', 'true')
      localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')
      localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')
      localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"')
    })
    await c.route(url => url.origin !== base, route => route.fulfill({ status: 204 })) // films of a manual on the web
    return c
  }
  const only = process.env.ONLY
  const wide = await context(1400)
  let done = 0
  for (const [name, address, texts, expected] of pages) {
    if (only && !name.match(only)) continue
    at = name
    const before = failures.length
    const page = await wide.newPage()
    watch(page, expected)
    await page.goto(base + address)
    await shows(page, ...texts)
    await settled(page)
    await picture(page, name)
    await page.close()
    if (failures.length === before) console.log(`ok      ${name}`)
    done++
  }
  for (const [name, act] of Object.entries(acts)) {
    if (only && !name.match(only)) continue
    at = name
    const before = failures.length
    const browsing = await context(1400)
    const page = await browsing.newPage()
    page.setDefaultTimeout(waitMillis)
    watch(page, askedInVain[name])
    await act(page).catch(async e => { fail(String(e).slice(0, 600)); await picture(page, 'failed-' + name.replace(/\W+/g, '-')) })
    await settled(page)
    await browsing.close()
    if (failures.length === before) console.log(`ok      ${name}`)
    done++
  }
  if (pictures) {
    const narrow = await context(390)
    for (const [name, address] of pages.filter(([name]) => ['experiments', 'runs', 'run', 'model'].includes(name))) {
      const page = await narrow.newPage()
      await page.goto(base + address)
      await settled(page)
      await picture(page, name + '-narrow')
      await page.close()
    }
  }
  await browser.close()
  console.log(`${done} pages and acts, ${failures.length} failures`)
  process.exit(failures.length > 0 || done === 0 ? 1 : 0)
}

main().catch(e => { console.error(e); process.exit(1) })
