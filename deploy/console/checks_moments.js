// Checks of the two moments on every page, of what is held against what, of halted views, long texts and states.
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const { waitMillis } = require('./world.js')
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

module.exports = (check, w, { must, same }) => {
  const film = async () => (await w.get('/api/v1/movies?limit=1')).items[0]
  const enc = encodeURIComponent
  const fields = page => page.locator('[data-diff] table.diff tbody th').allInnerTexts()
  const json = body => r => r.fulfill({ contentType: 'application/json', body: JSON.stringify(body) })

  check('26 links carry as_of to pages that know event time, and to no others', async () => {
    const asOf = '2024-06-01T00:00:00Z'
    const moments = `as_of=${asOf}&known_at=${w.position}`
    const { movie_id } = await film()
    const knows = at => ['try', 'people', 'films', 'features'].includes(new URL(at, w.base).pathname.split('/')[2])
    for (const at of ['/ui/people', '/ui/people/1', '/ui/films', `/ui/films/${movie_id}`, '/ui/features', '/ui/features/movie_features', '/ui/try?user=1', '/ui/people/1?tab=shown']) {
      const page = await w.open(`${at}${at.includes('?') ? '&' : '?'}${moments}`)
      await w.settled(page)
      const hrefs = await page.locator('a[href^="/ui/"]').evaluateAll(all => all.map(a => a.getAttribute('href')))
      must(hrefs.length > 13, `${at} has few links`)
      for (const h of hrefs) {
        const q = new URL(h, w.base).searchParams
        same([h, q.get('as_of')], [h, knows(h) ? asOf : null], `as_of of a link of ${at}`)
        same([h, q.get('known_at')], [h, w.position], `known_at of a link of ${at}`)
      }
      await w.closeAll()
    }
    const page = await w.open(`/ui/people?${moments}&vs_known_at=mlops-events/0@5`)
    await w.settled(page)
    for (const [key, want] of [['t', asOf], ['f', asOf], ['p', asOf], ['r', null], ['l', null]]) { // what was left behind is gone
      await w.chord(page, 'g', key)
      await page.waitForFunction(() => document.querySelector('main h1'), null, { timeout: waitMillis })
      const q = new URL(page.url()).searchParams
      same([key, q.get('as_of'), q.get('known_at'), q.get('vs_known_at')], [key, want, w.position, null], 'the address')
    }
    await page.goto(`${w.base}/ui/people/1?${moments}&vs_known_at=mlops-events/0@5`)
    await w.settled(page)
    const tab = await page.locator('main .tabs a').nth(1).getAttribute('href')
    must(tab.includes('vs_known_at=mlops-events/0@5'), `the tab of the same page leads to ${tab}`)
    must(!(await page.locator('#nav a').nth(5).getAttribute('href')).includes('vs_'), 'the menu carries what a page is held against')
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox', { name: 'Find' }).fill(movie_id)
    await page.getByRole('option').filter({ hasText: 'movie' }).first().click()
    await page.waitForURL(/\/ui\/films\//, { timeout: waitMillis })
    same(new URL(page.url()).searchParams.get('as_of'), asOf, 'as_of behind Find')
    w.take() // whether the person or film was known at that moment does not matter here
  })

  check('25 every page is held against another moment', async () => {
    const before = 'mlops-events/0@30'
    const said = []
    for (const [name, at] of Object.entries(w.pages).filter(([name]) => name !== 'then')) {
      const page = await w.open(`${at}${at.includes('?') ? '&' : '?'}vs_known_at=${before}`, { expected: ['404'] })
      await page.locator('[data-diff]').waitFor({ timeout: waitMillis }).catch(() => must(false, `${name} is held against nothing`))
      await w.settled(page)
      await page.waitForFunction(() => !document.querySelector('[data-diff] .skeleton'), null, { timeout: waitMillis })
      same(await page.locator('[data-diff] .fault').allInnerTexts(), [], name)
      must((await page.locator('[data-diff] h2').innerText()).includes(`${before} → Now`), `${name}: ${await page.locator('[data-diff] h2').innerText()}`)
      must(name === 'groups' || await page.locator('[data-diff] .entries, [data-diff] p.dim').count() > 0, `${name} tells of no events between`)
      must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`)
      said.push(`${name} ${await page.locator('[data-diff] table.diff tbody tr').count()}`)
      await w.closeAll()
    }
    return said.join(', ')
  })

  check('25 lists are held against another moment by their ids, past against past and against what came later', async () => {
    await w.quiet()
    const name = `diffed ${Date.now()}`
    const before = await w.cut()
    const { run } = await w.mlflow('runs/create', { experiment_id: w.experiment, run_name: name, start_time: Date.now() })
    const id = run.info.run_id
    await w.mlflow('registered-models/create', { name })
    const who = `diffed-${Date.now()}`
    const { movie_id } = await film()
    await w.send('POST', '/api/v1/users', { user_id: who, age: 33 })
    await w.send('PUT', `/api/v1/movies/${movie_id}/hidden`, { reason: 'held against' })
    const middle = await w.cut()
    await w.send('DELETE', `/api/v1/movies/${movie_id}/hidden`, {})
    await w.mlflow('runs/update', { run_id: id, status: 'FINISHED', end_time: Date.now() })
    await w.mlflow('registered-models/set-tag', { name, key: 'k', value: 'v' })
    const after = await w.cut()
    const open = async at => {
      const page = await w.open(at)
      await page.locator('[data-diff] h2').waitFor({ timeout: waitMillis })
      await w.settled(page)
      await page.waitForFunction(() => !document.querySelector('[data-diff] .skeleton'), null, { timeout: waitMillis })
      return page
    }
    const types = page => page.locator('[data-diff] .entries .type').allInnerTexts()
    // Runs: what came is a row, what changed a field of it.
    let page = await open(`/ui/runs?experiment=${w.experiment}&vs_known_at=${enc(before)}&known_at=${enc(middle)}`)
    same(await fields(page), [id], 'the run that came')
    must((await page.locator('[data-diff] tr.added').innerText()).includes(name), 'its name is not told')
    same(await types(page), ['run.started'], 'events between')
    page = await open(`/ui/runs?experiment=${w.experiment}&vs_known_at=${enc(middle)}`)
    same((await fields(page)).sort(), [`${id}.end_time`, `${id}.status`], 'what changed of a run')
    must((await page.locator('[data-diff] tr.changed').innerText()).replace(/\s+/g, ' ').includes('RUNNING FINISHED'), 'old and new are not told')
    // The other way round: the page is the earlier one.
    page = await open(`/ui/runs?experiment=${w.experiment}&known_at=${enc(middle)}&vs_known_at=${enc(after)}`)
    same((await fields(page)).sort(), [`${id}.end_time`, `${id}.status`], 'what changed, from the earlier page')
    must((await page.locator('[data-diff] tr.changed').innerText()).replace(/\s+/g, ' ').includes('RUNNING FINISHED'), 'old and new are told the other way')
    same(await page.locator('[data-diff] h2').innerText().then(x => x.indexOf(middle) < x.indexOf(after)), true, 'the earlier comes first')
    page = await open(`/ui/films?known_at=${enc(before)}&vs_known_at=${enc(middle)}`)
    same(await fields(page), [`${movie_id}.hidden`], 'the film')
    same(await types(page), ['movie.hidden'], 'events between')
    must((await page.locator('[data-diff] .entries').innerText()).length > 0, 'no actor')
    page = await open(`/ui/films?known_at=${enc(middle)}&vs_known_at=now`)
    must((await page.locator('[data-diff] h2').innerText()).endsWith('Now Close') || (await page.locator('[data-diff] h2').innerText()).includes('→ Now'), 'now is not the later')
    same(await fields(page), [`${movie_id}.hidden`], 'the film, against now')
    page = await open(`/ui/people?q=${who}&vs_known_at=${enc(before)}`)
    same(await fields(page), [who], 'the person that came')
    page = await open(`/ui/models?vs_known_at=${enc(middle)}&known_at=${enc(after)}`)
    must((await fields(page)).some(f => f.endsWith('.tags') || f.endsWith('.tags.k')), `the tag is not among ${await fields(page)}`)
    // By the key d, and again to nothing.
    page = await w.open('/ui/workflows')
    await w.settled(page)
    await page.keyboard.press('d')
    await page.locator('dialog[open] input').fill('mlops-events/0@3')
    await page.keyboard.press('Enter')
    await page.waitForURL(/vs_known_at=mlops-events\/0@3/, { timeout: waitMillis })
    await page.locator('[data-diff] tr.added').first().waitFor({ timeout: waitMillis })
    await page.locator('[data-diff] h2 button').click()
    await page.locator('[data-diff]').waitFor({ state: 'detached', timeout: waitMillis })
    await page.goto(`${w.base}/ui/events?tab=groups&vs_known_at=mlops-events/0@3`)
    await page.locator('[data-diff] .warn').waitFor({ timeout: waitMillis })
    same(await page.locator('[data-diff] .entries').count(), 0, 'events between what is of now alone')
  })

  check('25 26 a person is held against another time of what had happened', async () => {
    const who = `dated-${Date.now()}`
    const { movie_id } = await film()
    for (const year of [2014, 2018]) await w.send('POST', '/api/v1/feedback', { user_id: who, movie_id, interaction_type: 'view', timestamp: `${year}-03-01T10:00:00Z` })
    const page = await w.open(`/ui/people/${who}?as_of=2015-01-01`)
    await w.settled(page)
    await page.keyboard.press('d')
    await page.locator('dialog[open]').getByRole('button', { name: 'Now', exact: true }).click()
    await page.locator('[data-focus="vs-as-of"]').fill('2019-01-01')
    await page.keyboard.press('Enter')
    await page.waitForURL(/vs_as_of=2019-01-01/, { timeout: waitMillis })
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    await w.settled(page)
    must((await fields(page)).includes(`${who}.acts`), `changed are ${await fields(page)}`)
  })

  check('25 of a list that is longer than what is compared only what is sure is told', async () => {
    const rows = (...ids) => ids.map(i => ({ movie_id: i, title: `title ${i}`, offset: 1, recorded_millis: 1 }))
    const page = await w.open('/ui/models')
    const at = url => url.pathname === '/api/v1/movies' && url.searchParams.get('limit') === '1000'
    await page.route(at, r => json(new URL(r.request().url()).searchParams.has('known_at') ? { items: rows('a', 'b', 'd', 'x'), next_cursor: 'n' } : { items: rows('a', 'c', 'd', 'y'), next_cursor: 'n' })(r))
    await page.goto(`${w.base}/ui/films?vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    same(await page.locator('[data-diff] tbody tr').evaluateAll(all => all.map(r => `${r.className} ${r.querySelector('th').innerText}`)), ['added c', 'removed b'], 'what is sure')
    await page.locator('[data-diff] .warn').filter({ hasText: 'longer than what is compared' }).waitFor({ timeout: waitMillis })
  })

  check('23 a version is put beside what serves: moves, what is new and what is gone', async () => {
    const versions = async () => (await w.get(`/api/v1/models/${w.model}`)).versions.map(v => v.version)
    await w.trains(versions)
    await w.quiet()
    const serves = await w.get('/api/v1/deployments/production')
    const other = (await versions()).find(v => v !== serves.version)
    must(other !== undefined, 'there is one version alone')
    const before = await w.cut()
    const page = await w.open(`/ui/try?user=1&vs=model:${w.model}@${other}`, { expected: ['404', '400'] })
    await page.locator('.films').nth(1).waitFor({ timeout: waitMillis })
    await w.settled(page)
    const [left, right] = await Promise.all(['', `&model=${w.model}&version=${other}`].map(q => w.get(`/api/v1/recommendations?user_id=1&k=10&record=false${q}`).then(a => a.items.map(i => i.movie_id))))
    const move = (was, is) => (was < 0 ? 'new' : is < 0 ? 'gone' : was === is ? '=' : was > is ? `▲ ${was - is}` : `▼ ${is - was}`)
    const moves = n => page.locator('.films').nth(n).locator('li').evaluateAll(all => all.map(l => l.querySelector('.move')?.innerText))
    same(await moves(0), left.map((f, n) => move(right.indexOf(f), n)), 'moves of what serves')
    same(await moves(1), right.map((f, n) => move(n, left.indexOf(f))), 'moves of the version')
    same(await page.locator('[data-gone] li').count(), right.filter(f => !left.includes(f)).length, 'what is gone')
    must((await page.locator('.facts').nth(1).innerText()).includes(`${w.model} ${other}`), 'the version is not named')
    // Of a list whose films and places are others.
    const fake = (...ids) => ({ user_id: '1', strategy: 'x', cut: '', items: ids.map(i => ({ movie_id: i, title: `Film ${i}`, score: 1, because: [] })) })
    await page.route('**/api/v1/recommendations*', r => json(new URL(r.request().url()).searchParams.has('model') ? fake('c', 'a', 'z', 'b') : fake('a', 'b', 'c', 'n'))(r))
    await page.reload()
    await page.locator('.films').nth(1).locator('li').nth(3).waitFor({ timeout: waitMillis })
    await w.settled(page)
    same([await moves(0), await moves(1), await page.locator('[data-gone] li').allInnerTexts()], [['▲ 1', '▲ 2', '▼ 2', 'new'], ['▼ 2', '▲ 1', 'gone', '▲ 2'], ['3 Film z']], 'moves')
    await page.unroute('**/api/v1/recommendations*')
    await page.goto(`${w.base}/ui/try?user=1&vs=model:${w.model}@999`)
    await page.locator('.fault').filter({ hasText: 'version: ' }).waitFor({ timeout: waitMillis })
    await page.goto(`${w.base}/ui/try?user=1&known_at=${enc(before)}&vs=model:${w.model}@${other}`)
    await page.locator('.films').nth(1).waitFor({ timeout: waitMillis })
    same(await w.cut(), before, 'the log after looks')
    w.take()
  })

  check('35 a halted view is told of on the pages that are answered from it, with the event and how it is passed over', async () => {
    execFileSync(path.join(process.env.WORK, 'halt'), { stdio: ['ignore', fs.openSync(path.join(process.env.WORK, 'halt-out'), 'w'), 'inherit'] })
    const ask = at => fetch(w.halted + at)
    let views = []
    const registry = () => views.find(v => v.view === 'registry')
    await w.until('the view registry has not halted', async () => {
      views = await ask('/api/v1/views').then(r => r.json()).then(p => p.items, () => [])
      return registry()?.halted_at
    })
    const at = registry().halted_at
    const options = { base: w.halted, expected: ['503', 'readyz'] }
    const command = `projectionist views skip --all ${at} --reason`
    for (const [where, view] of [['/ui/models', 'registry'], ['/ui/models/als', 'registry'], ['/ui/runs', 'runs'], ['/ui/films', 'catalogue'], ['/ui/workflows', 'workflows'], ['/ui/', 'audit'], ['/ui/serving', 'deployments'], ['/ui/try?user=1', 'catalogue'], ['/ui/features', 'definitions'], ['/ui/quality', 'quality']]) {
      const page = await w.open(where, options)
      const told = page.locator('[data-halted]')
      await told.waitFor({ timeout: waitMillis }).catch(() => must(false, `${where} does not say that ${view} has halted`))
      const text = await told.innerText()
      must(text.includes(view) && text.includes(command) && text.includes('trial.begun'), `${where} says ${text}`)
      must((await page.locator('main .fault').first().getAttribute('data-halted')) === at, `${where} does not say it at its top`)
      await w.closeAll()
    }
    // Facts go on: nothing of a page that is answered from them alone, and of the past, is of before.
    for (const where of ['/ui/events/user-events', `/ui/models?known_at=mlops-events/0@10`]) {
      const page = await w.open(where, options)
      await w.settled(page)
      await page.locator('.bad', { hasText: 'Not ready' }).waitFor({ timeout: waitMillis })
      await w.pause(page, 500)
      same(await page.locator('[data-halted]').count(), 0, `halted views on ${where}`)
      await w.closeAll()
    }
    const page = await w.open('/ui/models', { ...options, locale: 'ko-KR', width: 390, theme: 'dark' })
    await page.locator('[data-halted]').waitFor({ timeout: waitMillis })
    await w.settled(page)
    must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && (m => m.scrollWidth <= m.clientWidth)(document.getElementById('main'))), 'it scrolls sideways')
    await page.evaluate(axeSource)
    same(await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`)), [], 'axe')
    await w.picture('halted-phone')
    const wide = await w.open('/ui/models', options)
    await wide.locator('[data-halted]').waitFor({ timeout: waitMillis })
    await w.settled(wide)
    await w.picture('halted-light')
    await wide.locator('[data-halted] a').first().click()
    await wide.locator('article.record').filter({ hasText: at }).waitFor({ timeout: waitMillis })
    await wide.goBack()
    await wide.locator('[data-halted]').waitFor({ timeout: waitMillis })
    execFileSync(path.join(process.env.WORK, 'projectionist'), ['views', 'skip', '--all', at, '--reason', 'a check', '--server', w.halted])
    await wide.locator('[data-halted]').waitFor({ state: 'detached', timeout: waitMillis })
    w.take() // that it was not ready is a 503
    return `${views.filter(v => v.halted_at).length} views at ${at}`
  })

  check('5 28 long texts in lists are a line, and whole on a page of their own', async () => {
    const long = n => `begins ${'lang '.repeat(n / 5)}ends`
    const name = `long ${Date.now()}`
    await w.mlflow('registered-models/create', { name, description: long(4000) })
    await w.mlflow('model-versions/create', { name, source: 's3://b/x' })
    await w.mlflow('registered-models/alias', { name, alias: `a${'l'.repeat(200)}`, version: '1' })
    const r = await fetch(`${w.base}/api/v1/imports`, { method: 'POST', headers: { 'Content-Type': 'application/json', Prefer: 'respond-async', 'X-Actor': 'x' }, body: JSON.stringify({ path: `/${'p'.repeat(3990)}` }) })
    const { operation_id } = await r.json()
    const experiment = await w.mlflow('experiments/create', { name: `${name} ${'n'.repeat(300)}` })
    const { run } = await w.mlflow('runs/create', { experiment_id: experiment.experiment_id, run_name: `begins ${'r'.repeat(240)}`, start_time: 1, tags: [{ key: 'long', value: long(4500) }] })
    await w.mlflow('runs/log-batch', { run_id: run.info.run_id, params: [{ key: 'long', value: long(5000) }] })
    const letter = { dead_letter_id: 'x2', reactor: 'trainer', state: 'dropped', error: long(4000), position: 'mlops-events/0@5', event_id: 'e', attempts: 5, created_millis: 1700000000000, resolved_by: 'somebody '.repeat(30), resolved_reason: long(4000) }
    const routes = {
      '**/api/v1/dead-letters*': { items: [letter] }, '**/api/v1/log/groups*': { items: [{ group: long(1000), lag: 1, committed: '2024-01-02T00:00:00Z', partitions: [] }] },
      '**/api/v1/workflows': { items: [{ name: 'w'.repeat(200), description: long(3000), schedule: '0 0 * * *', tags: [] }, { name: 'broken', error: long(4000) }] }, '**/api/v1/deployments': { items: [{ slot: 'production', model: 'm'.repeat(250), version: 1, actor: 'somebody '.repeat(40), reason: long(4000), position: 'mlops-events/0@5', event_millis: 1700000000000, previous_model: 'q'.repeat(250), previous_version: 1 }] },
    }
    for (const width of [1280, 390]) {
      for (const at of ['/ui/models', '/ui/system', `/ui/runs?experiment=${experiment.experiment_id}&cols=tags.long,params.long`, `/ui/runs/compare?sel=${run.info.run_id},${w.run}`, '/ui/events?tab=dead', '/ui/events?tab=groups', '/ui/workflows', '/ui/serving', '/ui/', `/ui/models/${enc(name)}`]) {
        const page = await w.open('/ui/quality', { width, height: 800 })
        for (const [p, body] of Object.entries(routes)) await page.route(p, json(body))
        await page.goto(w.base + at)
        await page.locator('main h1').waitFor({ timeout: waitMillis })
        await page.locator('main table tbody tr, main [data-row], main .entries li').first().waitFor({ timeout: waitMillis })
        await w.settled(page)
        const tall = await page.locator('main table:not(.pairs) > tbody > tr, main .entries li, main .plain-list li').evaluateAll(all => all.filter(r => !r.querySelector('table')).map(r => [r.getBoundingClientRect().height, r.innerText.slice(0, 80)]).filter(([h]) => h > 190))
        same(tall, [], `rows of ${at} at ${width}`)
        must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && (m => m.scrollWidth <= m.clientWidth)(document.getElementById('main'))), `${at} scrolls sideways at ${width}`)
        if (width === 1280 && at === '/ui/system') await w.picture('long-system')
        await w.closeAll()
      }
    }
    for (const [at, text] of [[`/ui/system/operations/${operation_id}`, 'p'.repeat(3990)], [`/ui/models/${enc(name)}`, long(4000)], [`/ui/runs/${run.info.run_id}`, long(5000)]]) {
      const page = await w.open(at)
      await w.settled(page)
      must((await page.locator('main').evaluate(m => m.textContent)).includes(text), `${at} has not the whole text`)
      await w.closeAll()
    }
  })

  check('7 33 by keys alone a version is deployed', async () => {
    const versions = async () => (await w.get(`/api/v1/models/${w.model}`)).versions.filter(v => v.blob).map(v => v.version)
    const serves = async () => (await w.get('/api/v1/deployments/production')).version
    await w.trains(versions)
    await w.idle()
    const now = await serves()
    const other = (await versions()).find(v => v !== now)
    const page = await w.open('/ui/')
    await w.settled(page)
    const tabTo = async (text, where) => {
      for (let i = 0; i < 150; i++) {
        await page.keyboard.press('Tab')
        if (await page.evaluate(([text, where]) => document.activeElement.closest(where) !== null && document.activeElement.innerText.trim() === text, [text, where])) return
      }
      must(false, `${text} is not reached by Tab`)
    }
    await w.chord(page, 'g', 'm')
    await page.locator('main table').waitFor({ timeout: waitMillis })
    await w.settled(page)
    await tabTo(w.model, 'main td')
    await page.keyboard.press('Enter')
    await page.waitForURL(u => u.pathname === `/ui/models/${w.model}`, { timeout: waitMillis })
    await page.locator('main table').waitFor({ timeout: waitMillis })
    await w.settled(page)
    await tabTo(String(other), 'main td')
    await page.keyboard.press('Enter')
    await page.waitForURL(u => u.pathname === `/ui/models/${w.model}/${other}`, { timeout: waitMillis })
    await page.locator('[data-focus="deploy"]:not([disabled])').waitFor({ timeout: waitMillis })
    await w.settled(page)
    await tabTo(`Deploy ${w.model} ${other}`, 'main')
    await page.keyboard.press('Enter')
    await page.locator('dialog[open]').waitFor({ timeout: waitMillis })
    await page.keyboard.type('by keys')
    await page.keyboard.press('Enter')
    await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
    same([await serves(), (await w.get('/api/v1/deployments/production')).reason], [other, 'by keys'], 'what serves')
    await page.waitForFunction(() => document.activeElement && document.activeElement !== document.body, null, { timeout: waitMillis }).catch(() => must(false, 'the focus is lost'))
  })

  check('1 axe finds nothing serious in the dialog of a dead letter', async () => {
    const letter = { dead_letter_id: 'x3', reactor: 'trainer', state: 'open', error: 'it does not go', position: 'mlops-events/0@5', event_id: 'e', attempts: 5, created_millis: 1700000000000 }
    const all = []
    for (const o of [{ theme: 'light' }, { theme: 'dark' }, { theme: 'dark', locale: 'ko-KR', width: 390 }]) {
      const page = await w.open('/ui/', o)
      await page.route('**/api/v1/dead-letters*', json({ items: [letter] }))
      await page.goto(`${w.base}/ui/events?tab=dead`)
      await page.locator('[data-focus="drop-x3"]').click()
      await page.locator('dialog[open] input').waitFor({ timeout: waitMillis })
      await w.pause(page, 250)
      await page.evaluate(axeSource)
      all.push(...(await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`))))
      await w.closeAll()
    }
    same(all, [], 'found')
  })

  check('11 each state of a kind of things has a shape of its own and a word, without colour', async () => {
    const said = []
    const tell = async (page, kind, where, n) => {
      await page.waitForFunction(([where, n]) => document.querySelectorAll(`${where} .state`).length >= n, [where, n], { timeout: waitMillis }).catch(() => must(false, `${kind}: fewer than ${n} states`))
      const all = await page.locator(`${where} .state`).evaluateAll(all => all.map(s => [s.querySelector('i').innerText, s.querySelector('span').textContent]))
      const words = new Map()
      for (const [shape, word] of all) {
        must(shape.trim() !== '' && word.trim() !== '', `${kind}: a state has the shape "${shape}" and the word "${word}"`)
        words.set(shape, (words.get(shape) ?? new Set()).add(word))
      }
      for (const [shape, of] of words) must(of.size === 1, `${kind}: ${[...of].join(' and ')} have the same shape ${shape}`)
      must(words.size >= n, `${kind}: ${JSON.stringify([...words.keys()])}`)
      said.push(`${kind} ${[...words].map(([shape, of]) => `${shape} ${[...of][0]}`).join(' ')}`)
    }
    const open = async (at, pattern, body) => {
      const page = await w.open('/ui/quality')
      await page.route(pattern, json(body))
      await page.goto(w.base + at)
      return page
    }
    const tasks = ['', 'queued', 'running', 'up_for_retry', 'success', 'failed', 'skipped', 'upstream_failed']
    const runs = ['queued', 'running', 'success', 'failed', 'cancelled']
    let page = await open('/ui/workflows/movie_training_pipeline', '**/api/v1/workflows/runs?*', { items: runs.map((state, i) => ({ run_id: `r${i}`, workflow: 'movie_training_pipeline', state, requested_millis: 1700000000000, tasks: tasks.map((s, n) => ({ task: `t${n}`, state: s, try: 1 })) })) })
    await tell(page, 'tasks', '.grid tbody .cell', tasks.length)
    await tell(page, 'workflow runs', '.grid tbody td:nth-child(2)', runs.length)
    const status = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']
    page = await open('/ui/runs?cols=-', '**/api/v1/runs?*', { columns: { run_id: status, name: status, status, experiment_id: status, user: status, start_time: status.map(() => 1), end_time: status.map(() => 2) }, total: status.length, items: [] })
    await tell(page, 'runs', '.rows', status.length)
    const operations = ['running', 'success', 'failed', 'cancelled', 'interrupted']
    page = await open('/ui/system', '**/api/v1/operations?*', { items: operations.map(state => ({ operation_id: state, kind: 'backup', state, holder: 'h', started_millis: 1, here: true })) })
    await tell(page, 'operations', '[data-operation]', operations.length)
    const stages = ['None', 'Staging', 'Production', 'Archived']
    page = await open(`/ui/models/${w.model}`, url => url.pathname === `/api/v1/models/${w.model}`, { name: w.model, key: w.model, versions: stages.map((stage, i) => ({ name: w.model, version: i + 1, stage, algorithm: 'als', event_millis: 1, position: 'mlops-events/0@1' })), updated_millis: 1 })
    await tell(page, 'stages', 'main table tbody', stages.length)
    const letters = ['open', 'retried', 'dropped']
    page = await open('/ui/events?tab=dead', '**/api/v1/dead-letters*', { items: letters.map(state => ({ dead_letter_id: state, reactor: 'r', state, error: 'e', attempts: 1, created_millis: 1 })) })
    await tell(page, 'dead letters', '[data-letter]', letters.length)
    page = await open('/ui/system', '**/api/v1/views', { items: [{ view: 'a', cut: '', lag_events: 0, inputs: 1 }, { view: 'b', cut: '', lag_events: 5, inputs: 1 }, { view: 'c', cut: '', lag_events: 5, inputs: 1, error: 'view c halted at mlops-events/0@5 (x y): z' }] })
    await page.getByText('view c halted').first().waitFor({ timeout: waitMillis })
    await tell(page, 'views', 'section:has(h2:text("Views")) table'.replace(':has(h2:text("Views"))', ':has(tr.halted)'), 3)
    await page.emulateMedia({ media: 'screen' })
    return said.join('; ')
  })

  check('25 an answer of the past is kept by how its numbers were read', async () => {
    const earlier = await w.cut()
    await w.mlflow('registered-models/create', { name: `kept ${Date.now()}` })
    const later = await w.cut()
    const at = `/ui/runs/${w.badRun}`
    let page = await w.open(`${at}?known_at=${enc(later)}&vs_known_at=${enc(earlier)}`)
    await page.locator('[data-diff] .entries, [data-diff] h3 ~ p.dim').first().waitFor({ timeout: waitMillis })
    await page.waitForFunction(() => !document.querySelector('[data-diff] .skeleton'), null, { timeout: waitMillis })
    same(await fields(page), [], 'what differs of a run that nobody changed')
    must((await page.locator('[data-diff]').innerText()).includes('Nothing differs.'), 'it is not said')
    page = await w.open(`${at}?known_at=${enc(earlier)}&vs_known_at=${enc(later)}`)
    await page.locator('[data-diff]').getByText('Nothing differs.').waitFor({ timeout: waitMillis })
    await page.evaluate(to => { history.pushState({ entry: 'later' }, '', to); dispatchEvent(new PopStateEvent('popstate')) }, `${at}?known_at=${enc(later)}`)
    await page.locator('[data-diff]').waitFor({ state: 'detached', timeout: waitMillis })
    await w.settled(page)
    must(/@900719925474099\d/.test(await page.locator('main').innerText()), 'the step is not drawn')
  })

  check('25 of a chain each event is held against another moment, though several are of one commit', async () => {
    const link = (event_id, more) => ({ event_id, type: `of ${event_id}`, stream: 'x/y', position: w.position, recorded_millis: 1, event_millis: 1, ...more })
    const page = await w.open('/ui/models')
    await page.route('**/api/v1/audit/chain?*', r => json(new URL(r.request().url()).searchParams.has('known_at') ? { root: link('r', { asked: true }), events: 1 } : { root: link('r', { asked: true, then: [link('a'), link('b')] }), events: 3, truncated: true })(r))
    await page.goto(`${w.base}/ui/events/${w.position}?vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    same(await fields(page), ['a', 'b'], 'events that came')
    await page.locator('[data-diff] .warn').filter({ hasText: 'longer than what is compared' }).waitFor({ timeout: waitMillis })
  })

  check('25 while a moment is on its way, nothing of another is shown under its name', async () => {
    const page = await w.open('/ui/models')
    const film = id => ({ movie_id: id, title: `title ${id}`, offset: 1, recorded_millis: 1 })
    let held
    const asked = new Promise(f => { held = f })
    let give
    const given = new Promise(f => { give = f })
    await page.route(u => u.pathname === '/api/v1/movies' && u.searchParams.get('limit') === '1000', async r => {
      const at = new URL(r.request().url()).searchParams.get('known_at')
      if (at === 'mlops-events/0@8') {
        held()
        await given
      }
      await json({ items: at === null ? [film('a')] : at.endsWith('@8') ? [film('a'), film('z')] : [film('a'), film('y')] })(r)
    })
    await page.goto(`${w.base}/ui/films?vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    await page.evaluate(() => { history.pushState({ entry: 'other' }, '', '/ui/films?vs_known_at=mlops-events/0@8'); dispatchEvent(new PopStateEvent('popstate')) })
    await page.locator('[data-diff] h2').filter({ hasText: '0@8' }).waitFor({ timeout: waitMillis })
    await asked
    await w.pause(page, 3000)
    same(await page.locator('[data-diff] table.diff').count(), 0, 'differences before the answer')
    give()
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    same(await fields(page), ['z'], 'what differs')
  })

  check('25 windows that slid out of what is told are not told as removed', async () => {
    const of = n => ({ from: `2026-11-0${n}T00:00:00Z`, to: `2026-11-0${n + 1}T00:00:00Z`, acts: n, judged: n, no_film: 0, sources: {} })
    const page = await w.open('/ui/models')
    await page.route('**/api/v1/quality?*', r => json({ window: 'day', windows: (new URL(r.request().url()).searchParams.has('known_at') ? [1, 2, 3] : [2, 3, 4]).map(of), total: of(new URL(r.request().url()).searchParams.has('known_at') ? 1 : 5), deployments: [] })(r))
    await page.goto(`${w.base}/ui/quality?vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    same((await fields(page)).map(f => f.slice(0, 10)), ['2026-11-04'], 'what differs of the last windows')
    await page.goto(`${w.base}/ui/quality?vs_known_at=mlops-events/0@9&from=2026-11-01`)
    await page.locator('[data-diff] tr.removed').waitFor({ timeout: waitMillis })
    must((await fields(page)).some(f => f.startsWith('Sum')), 'the sum of windows that were asked for is not compared')
    const asked = []
    await page.route(u => u.pathname === '/api/v1/engagement', r => {
      const q = new URL(r.request().url()).searchParams
      const then = q.has('known_at')
      if (then) asked.push(q.get('from'))
      return json({ days: (then ? [1, 2, 3] : [2, 3, 4]).map(n => ({ day: `2026-11-0${n}`, lists: n, lists_taken_up: 0, films: 0, films_liked: 0, films_disliked: 0, films_met: 0 })), total: {} })(r)
    })
    await page.goto(`${w.base}/ui/serving?vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] tr').filter({ hasText: '2026-11-04' }).waitFor({ timeout: waitMillis })
    same([(await fields(page)).filter(f => f.startsWith('2026')), asked], [['2026-11-04'], [null]], 'the days, and from when they were asked')
  })

  check('25 what was decided of a record in quarantine is told between moments', async () => {
    const record = { position: 'user-events/0@3', topic: 'user-events', reason: 'no JSON', recorded_millis: 1, value: '', event_id: 'e' }
    const page = await w.open('/ui/models')
    const prefixes = []
    page.on('request', r => { if (new URL(r.url()).pathname === '/api/v1/audit') prefixes.push(new URL(r.url()).searchParams.get('stream_prefix')) })
    await page.route('**/api/v1/quarantine?*', r => json({ items: [new URL(r.request().url()).searchParams.has('known_at') ? { ...record, state: 'open' } : { ...record, state: 'dropped', decision: { reason: 'a test', actor: 'ann', position: 'mlops-events/0@20', event_millis: 1 } }] })(r))
    await page.goto(`${w.base}/ui/events?tab=quarantine&vs_known_at=mlops-events/0@9`)
    await page.locator('[data-diff] table.diff').waitFor({ timeout: waitMillis })
    same((await fields(page)).sort(), ['user-events/0@3.decision', 'user-events/0@3.state'], 'what differs')
    const told = await page.locator('[data-diff] table.diff').innerText()
    must(told.includes('a test') && told.includes('ann') && told.includes('dropped'), `it says ${told}`)
    await page.locator('[data-diff] h3').filter({ hasText: 'quarantine/' }).waitFor({ timeout: waitMillis })
    await w.settled(page)
    same([...new Set(prefixes)].sort(), ['quarantine/', 'refusal/'], 'the streams of events between')
  })

  check('quarantine and dead letters are followed to their end, through pages without a row', async () => {
    const rows = {
      quarantine: ['[data-quarantined]', [1, 2].map(n => ({ position: `user-events/0@${n}`, topic: 'user-events', state: 'open', reason: 'no JSON', recorded_millis: 1, value: '', event_id: `e${n}` }))],
      'dead-letters': ['[data-letter]', [1, 2].map(n => ({ dead_letter_id: `l${n}`, reactor: 'r', state: 'open', error: 'e', attempts: 1, created_millis: 1 }))],
    }
    for (const [name, [row, [one, two]]] of Object.entries(rows)) {
      const page = await w.open('/ui/models')
      const answers = { '': { items: [], next_cursor: 'n' }, n: { items: [one], next_cursor: 'm' }, m: { items: [two] } }
      await page.route(`**/api/v1/${name}?*`, r => json(answers[new URL(r.request().url()).searchParams.get('cursor') ?? ''])(r))
      await page.goto(`${w.base}/ui/events?tab=${name === 'quarantine' ? name : 'dead'}&state=open`)
      const more = page.locator('main').getByRole('button', { name: 'More', exact: true })
      await more.waitFor({ timeout: waitMillis })
      same([await page.locator('main .empty').count(), await page.locator(row).count()], [0, 0], `${name}: that nothing fits, and rows`)
      await more.click()
      await page.locator(row).first().waitFor({ timeout: waitMillis })
      await more.click()
      await page.locator(row).nth(1).waitFor({ timeout: waitMillis })
      same(await more.count(), 0, `${name}: more behind the last`)
    }
  })

  check('similar films of a moment at which a view had halted are not asked for again and again', async () => {
    const { movie_id } = await film()
    const page = await w.open('/ui/', { expected: ['503'] })
    let asked = 0
    await page.route(/\/similar\?/, r => (asked++, r.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Service Unavailable', detail: 'a view has halted: catalogue at mlops-events/0@5' }) })))
    await page.goto(`${w.base}/ui/films/${movie_id}?tab=similar&known_at=${w.position}`)
    await page.locator('main .fault').filter({ hasText: 'a view has halted' }).waitFor({ timeout: waitMillis })
    await w.pause(page, 5000)
    same([asked, await page.locator('[data-folding]').count()], [1, 0], 'how often they were asked for, and that they are on their way')
  })

  check('23 26 at a moment the baseline is said to be known of now alone', async () => {
    for (const [moment, n] of [['', 0], [`&known_at=${w.position}`, 1], ['&as_of=2024-01-01', 1]]) {
      const page = await w.open(`/ui/try?user=1&vs=baseline${moment}`, { expected: ['503', '404'] })
      await page.locator('.films').first().waitFor({ timeout: waitMillis })
      same(await page.locator('main .warn').filter({ hasText: 'known of now alone' }).count(), n, `what is said at "${moment}"`)
      await w.closeAll()
    }
  })

  check('22 seeds that differ by one do, however large', async () => {
    const seeds = ['18446744073709551614', '18446744073709551615']
    const version = i => `{"name":"seeded","version":${i + 1},"seed":${seeds[i]},"stage":"None","algorithm":"als","params":{},"run_id":"","bytes":1,"event_millis":1,"recorded_millis":1,"position":"mlops-events/0@1","dataset_cut":"","blob":""}`
    const page = await w.open('/ui/models', { expected: ['404'] })
    const text = body => r => r.fulfill({ contentType: 'application/json', body })
    await page.route(u => u.pathname === '/api/v1/models/seeded', text(`{"name":"seeded","key":"seeded","versions":[${version(0)},${version(1)}],"revision":2,"updated_millis":1}`))
    await page.route(u => u.pathname === '/api/v1/models/seeded/versions/2', text(version(1)))
    await page.goto(`${w.base}/ui/models/seeded?version=2&vs_version=1`)
    await page.locator('table.diff').waitFor({ timeout: waitMillis })
    same(await page.locator('table.diff tbody tr').evaluateAll(all => all.map(r => [...r.children].map(c => c.innerText))), [['seed', ...seeds]], 'what differs')
    await page.goto(`${w.base}/ui/models/seeded/2`)
    await page.locator('.facts').filter({ hasText: seeds[1] }).waitFor({ timeout: waitMillis })
  })

  check('25 of the past no answer is kept that is larger than all may be', async () => {
    const page = await w.open('/ui/')
    const asked = { 3: 0, 4: 0 }
    await page.route(u => u.pathname === '/api/v1/models' && u.searchParams.get('limit') === '500', r => {
      const n = new URL(r.request().url()).searchParams.get('known_at').split('@')[1]
      asked[n]++
      return r.fulfill({ contentType: 'application/json', body: `{"items":[{"name":"of ${n}","key":"k","versions":[],"updated_millis":1}]${' '.repeat(n === '3' ? 33e6 : 0)}}` })
    })
    await page.goto(`${w.base}/ui/models?known_at=mlops-events/0@3`)
    for (const n of [3, 4, 3, 4]) {
      await page.evaluate(n => { history.pushState({ entry: `at ${n} ${Math.random()}` }, '', `/ui/models?known_at=mlops-events/0@${n}`); dispatchEvent(new PopStateEvent('popstate')) }, n)
      await page.locator('main td').filter({ hasText: `of ${n}` }).waitFor({ timeout: waitMillis })
    }
    same(asked, { 3: 2, 4: 1 }, 'how often each was asked for')
  })
}
