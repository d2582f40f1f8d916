// Checks of single pages.
const { waitMillis } = require('./world.js')

module.exports = (check, w, { must, same }) => {
  const cells = page => page.locator('[role=grid] .rows [role=row]').evaluateAll(all => all.map(r => r.innerText))

  check('13 of many runs those in sight are drawn; counts, filter and sort are right', async () => {
    const page = await w.open(`/ui/runs?experiment=${w.experiment}`)
    const grid = page.locator('[role=grid]')
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    const all = w.runsMany + 1 // and the outlier
    same(await grid.getAttribute('aria-rowcount'), String(all + 1), 'aria-rowcount')
    for (const at of [0, 0.5, 1]) {
      await grid.evaluate((e, at) => { e.scrollTop = e.scrollHeight * at }, at)
      await w.pause(page, 100)
      const n = await page.locator('[role=grid] .rows [role=row]').count()
      must(n > 5 && n < 80, `${n} rows are drawn`)
    }
    await page.locator('[data-filter]').fill('metrics.ndcg>0.5 params.dim=64')
    const want = Array.from({ length: w.runsMany }, (_, i) => i).filter(i => (i * 37 % 600) / 600 > 0.5 && i % 4 === 3).length
    await page.waitForFunction(n => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === String(n + 1), want, { timeout: waitMillis })
    const start = Date.now()
    await page.getByRole('button', { name: 'ndcg' }).click()
    await page.waitForURL(/sort=-metrics\.ndcg/, { timeout: waitMillis })
    await page.waitForFunction(() => document.querySelector('[aria-sort=descending]'), null, { timeout: waitMillis })
    const took = Date.now() - start
    await grid.evaluate(e => { e.scrollTop = 0 })
    await w.pause(page, 100)
    const values = await page.locator('[role=grid] .rows [role=row]').evaluateAll(rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => Number(r.querySelectorAll('.num')[1].innerText)))
    same(values, [...values].sort((a, b) => b - a), 'the order')
    return `${want} of ${all}, sorted in ${took} ms`
  })

  check('14 of 20,000 points a single outlier is seen', async () => {
    const start = Date.now()
    const page = await w.open(w.pages.outlier)
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    const took = Date.now() - start
    const highest = await page.locator('.chart').filter({ hasText: 'loss' }).evaluate(async e => {
      const c = e.querySelector('canvas')
      const g = c.getContext('2d').getImageData(0, 0, c.width, c.height)
      const probe = document.createElement('i'); probe.style.color = 'var(--data-1)'; document.body.append(probe)
      const [r, gr, b] = getComputedStyle(probe).color.match(/\d+/g).map(Number)
      for (let y = 0; y < c.height; y++) for (let x = 0; x < c.width; x++) { const i = (y * c.width + x) * 4; if (Math.abs(g.data[i] - r) + Math.abs(g.data[i + 1] - gr) + Math.abs(g.data[i + 2] - b) < 60 && g.data[i + 3] > 120) return y / c.height }
      return 1
    })
    must(highest < 0.3, `the curve's highest point is at ${highest} of the height: the outlier is not drawn`)
    return `page to chart ${took} ms`
  })

  check('20 whoever reads is not moved by what comes', async () => {
    const page = await w.open('/ui/events/user-events')
    const grid = page.locator('[role=grid]')
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    for (let i = 0; i < 6; i++) {
      await grid.evaluate(e => { e.scrollTop = e.scrollHeight })
      await w.settled(page)
    }
    await w.live(page)
    const before = [await grid.evaluate(e => e.scrollTop), await cells(page)]
    for (let i = 0; i < 20; i++) await w.act(i, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    await page.locator('.news').waitFor({ timeout: waitMillis })
    same([await grid.evaluate(e => e.scrollTop), await cells(page)], before, 'what is in sight')
    must(before[0] > 1000, `only ${before[0]} px were scrolled`)
  })

  check('21 22 back restores filter, sort, columns, selection and place, and a new profile shows the same', async () => {
    const at = `/ui/runs?cols=metrics.ndcg,params.dim&experiment=${w.experiment}&q=params.dim=16&sort=metrics.ndcg`
    const page = await w.open(at)
    const grid = page.locator('[role=grid]')
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    await page.locator('[role=grid] input[type=checkbox]').nth(1).check()
    await page.waitForURL(/sel=/, { timeout: waitMillis })
    await grid.evaluate(e => { e.scrollTop = 1200 })
    await w.pause(page, 150)
    const before = [page.url(), await cells(page), await grid.evaluate(e => e.scrollTop)]
    await page.locator('[role=grid] .rows [role=row] a').nth(8).click()
    await page.waitForURL(/\/ui\/runs\/[0-9a-f]{32}/, { timeout: waitMillis })
    await page.locator('main h1').waitFor()
    await page.goBack()
    await page.locator('[role=grid] [role=row]').nth(3).waitFor({ timeout: waitMillis })
    await page.waitForFunction(() => document.querySelector('[role=grid]').scrollTop === 1200, null, { timeout: waitMillis })
    await w.pause(page, 200)
    same([page.url(), (await cells(page)).sort(), await grid.evaluate(e => e.scrollTop)], [before[0], before[1].sort(), before[2]], 'after back')
    const other = await w.open(page.url().replace(w.base, ''))
    await other.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    await other.locator('[role=grid]').evaluate(e => { e.scrollTop = 1200 })
    await w.pause(other, 150)
    same((await cells(other)).sort(), before[1].sort(), 'in a new profile')
  })

  check('35 a graph whose layout did not come is asked for again', async () => {
    const page = await w.open('/ui/models', { expected: ['layout.js', 'ERR_'] })
    await page.route('**/ui/layout.js*', r => r.abort(), { times: 1 })
    await page.getByRole('link', { name: w.model, exact: true }).first().click()
    await page.locator('main h1').filter({ hasText: w.model }).waitFor({ timeout: waitMillis })
    await page.locator(`main a[href="${w.pages.version}"]`).first().click()
    await page.locator('.fault').filter({ hasText: 'layout' }).waitFor({ timeout: waitMillis })
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('svg.graph').waitFor({ timeout: waitMillis })
    same(await page.locator('.fault').count(), 0, 'faults')
    w.take()
  })

  check('25 a diff of two moments has the fields that changed, and the events between', async () => {
    const page = await w.open(`/ui/models/${w.model}?vs_known_at=${w.position.replace(/@(\d+)$/, (_, n) => `@${n - 1}`)}&known_at=${w.position}`)
    await w.settled(page)
    const rows = await page.locator('[data-diff] table.diff tbody tr th').allInnerTexts()
    must(rows.some(r => r.endsWith('.stage')), `the stage is not among ${JSON.stringify(rows)}`)
    const between = await page.locator('[data-diff] .entries .type').allInnerTexts()
    must(between.includes('model.deployed') && between.includes('model.version_staged'), `between are ${JSON.stringify(between)}`)
  })

  check('28 hostile names do nothing, and the layout is whole', async () => {
    for (const at of [`/ui/runs`, `/ui/runs?experiment=${w.badExperiment}`, `/ui/runs/${w.badRun}`, `/ui/runs/compare?sel=${w.badRun},${w.run}`, '/ui/models', `/ui/models/${encodeURIComponent('a<b>"c')}`, `/ui/events/streams/run/${w.badRun}`, `/ui/events/mlops-events?q=${encodeURIComponent('<img')}`, `/ui/${encodeURIComponent(w.hostile.img)}`, `/ui/runs?q=${encodeURIComponent(w.hostile.img)}`]) {
      for (const width of [1280, 390]) {
        const page = await w.open(at, { width, bare: true })
        await page.locator('h1').first().waitFor({ timeout: waitMillis })
        await w.settled(page)
        same(await page.evaluate(() => [window.__hit, document.querySelectorAll('main img, main script').length, [...document.querySelectorAll('a[href]')].filter(a => a.protocol === 'javascript:').length]), [null, 0, 0], at)
        must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${at} scrolls sideways at ${width}`)
        same(await w.violations(page), [], at)
        await w.closeAll()
      }
    }
  })

  check('30 a number beyond 2^53 is shown as it was sent', async () => {
    const page = await w.open(`/ui/events/streams/run/${w.badRun}`)
    await w.settled(page)
    for (const s of await page.locator('.stream summary').all()) await s.click()
    must((await page.locator('main').innerText()).includes('9007199254740993'), 'the step is rounded')
  })

  check('31 32 reasons add up to the score, and looking leaves no event', async () => {
    await w.quiet()
    const before = await w.cut()
    const page = await w.open('/ui/try?user=1')
    await w.settled(page)
    const list = await page.locator('.films li').count()
    const sums = await page.locator('.films li').evaluateAll(all => all.map(li => [Number(li.querySelector(':scope > span.num[title]').title), Number([...li.querySelectorAll('details tr:last-child td[title]')].at(-1)?.title)]))
    for (const [score, sum] of sums) must(Math.abs(score - sum) <= 1e-6 * Math.max(1, Math.abs(score)), `parts add up to ${sum}, the score is ${score}`)
    same(await w.cut(), before, 'the log after a look')
    return `${list} films`
  })

  check('33 34 a command on a state that has changed is refused, and a double click is one event', async () => {
    const page = await w.open(w.pages.workflow)
    await w.settled(page)
    const runs = async () => (await w.get('/api/v1/workflows/runs?workflow=movie_training_pipeline&limit=1000')).items.length
    const before = await runs()
    await page.getByRole('button', { name: 'Trigger', exact: true }).click()
    await page.locator('dialog[open] button[type=submit]').dblclick()
    await page.waitForURL(/\/ui\/workflows\/runs\//, { timeout: waitMillis })
    await w.pause(page, 500)
    same(await runs(), before + 1, 'runs')
    const id = page.url().split('/').at(-1).split('?')[0]
    await w.until('the run goes on', async () => ['success', 'failed'].includes((await w.get(`/api/v1/workflows/runs/${id}`)).state))
    const model = await w.get(`/api/v1/models/${w.model}`)
    const now = await w.get('/api/v1/deployments/production')
    const other = model.versions.map(v => v.version).find(n => n !== now.version)
    must(other !== undefined, 'there is one version alone')
    const deploy = await w.open('/ui/models', { expected: ['412', '409', '500'] })
    const model_ = url => url.pathname === `/api/v1/models/${w.model}`
    await deploy.route(model_, r => r.fulfill({ status: 500, contentType: 'application/problem+json', body: '{"title":"a fault","detail":"of the test"}' }))
    await deploy.goto(`${w.base}/ui/models/${w.model}/${other}`)
    await deploy.locator('main .fault').filter({ hasText: 'of the test' }).waitFor({ timeout: waitMillis })
    const button = deploy.getByRole('button', { name: `Deploy ${w.model} ${other}` })
    must(await button.isDisabled(), 'it can be deployed on a state that is not known')
    await deploy.unroute(model_)
    await deploy.locator('main .fault').getByRole('button', { name: 'Try again' }).click()
    await deploy.waitForFunction(() => !document.querySelector('[data-focus="deploy"]').disabled, null, { timeout: waitMillis })
    // What the page has not shown yet is not taken for read: not by opening the dialog either.
    await w.settled(deploy)
    await deploy.evaluate(() => document.activeElement.blur())
    await deploy.keyboard.press('Space')
    await deploy.getByRole('button', { name: /Paused/ }).first().waitFor({ timeout: waitMillis })
    await w.unasked(deploy, model_)
    const read = await fetch(`${w.base}/api/v1/models/${w.model}`).then(r => r.text()) // whatever it asks until it deploys is answered by this
    let deployed = false
    await deploy.route(model_, r => (deployed ? r.continue() : r.fulfill({ status: 200, contentType: 'application/json', body: read })))
    await deploy.route(url => url.pathname.endsWith('/deploy'), r => { deployed = true; return r.continue() })
    await w.send('POST', `/api/v1/models/${w.model}/versions/${other}/stage`, { stage: 'Staging', reason: 'somebody else' })
    await button.click()
    const answer = deploy.waitForResponse(r => r.url().endsWith('/deploy'))
    await deploy.locator('dialog[open] button[type=submit]').click()
    same((await answer).status(), 412, 'a deployment on what is another by now')
    same((await w.get('/api/v1/deployments/production')).version, now.version, 'what serves')
    await deploy.locator('dialog[open]').getByRole('button', { name: 'Cancel' }).click()
    await deploy.locator('main .state').filter({ hasText: 'Staging' }).first().waitFor({ timeout: waitMillis })
    await deploy.getByRole('button', { name: /Paused/ }).first().click()
    await w.settled(deploy)
    await button.click()
    await deploy.locator('dialog[open] button[type=submit]:not([disabled])').waitFor({ timeout: waitMillis })
    await w.send('POST', `/api/v1/models/${w.model}/versions/${other}/deploy`, { reason: 'somebody else' })
    await deploy.locator('dialog[open] button[type=submit]').click()
    await deploy.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    return await deploy.locator('dialog[open] .fault b').innerText()
  })

  check('30 filters take names with blanks in quotes, and tell whole numbers of any size apart', async () => {
    const { experiment_id } = await w.mlflow('experiments/create', { name: `filtered ${Date.now()}` })
    const sizes = ['9223372036854775805', '9223372036854775806', '9223372036854775807']
    for (let i = 0; i < 3; i++) {
      const { run } = await w.mlflow('runs/create', { experiment_id, run_name: `run ${i}`, start_time: 1700000000000 + i })
      await w.mlflow('runs/log-batch', { run_id: run.info.run_id, metrics: [{ key: 'val loss', value: i, timestamp: 1700000000000, step: 0 }], params: [{ key: 'n', value: sizes[i] }] })
    }
    for (const [q, want] of [['metrics."val loss">=1', [2, 1]], ['metrics.`val loss`=0', [0]], [`params.n=${sizes[1]}`, [1]], [`params.n>${sizes[0]}`, [2, 1]], [`params.n!=${sizes[2]} "run 1"`, [1]]]) {
      const page = await w.open(`/ui/runs?experiment=${experiment_id}&q=${encodeURIComponent(q)}`)
      await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis }).catch(() => must(false, `nothing fits ${q}`))
      await w.settled(page)
      same(await page.locator('[role=grid] .rows [role=row] a').allInnerTexts(), want.map(i => `run ${i}`), q)
      await w.closeAll()
    }
    const page = await w.open(`/ui/runs?experiment=${experiment_id}&cols=params.n&sort=-params.n`)
    await page.locator('[data-row="2"]').waitFor({ timeout: waitMillis })
    same(await page.locator('[role=grid] .rows [role=row] a').allInnerTexts(), ['run 2', 'run 1', 'run 0'], 'the order')
  })

  check('addresses that MLflow\'s clients print lead to runs and models', async () => {
    for (const [at, want] of [[`#/experiments/${w.experiment}/runs/${w.outlier}`, `/ui/runs/${w.outlier}`], [`#/experiments/${w.experiment}`, `/ui/runs?experiment=${w.experiment}`], [`#/models/${w.model}`, `/ui/models/${w.model}`], [`#/models/${w.model}/versions/${w.version}`, `/ui/models/${w.model}/${w.version}`], ['#/models', '/ui/models']]) {
      const page = await w.open(`/ui/${at}`)
      await w.settled(page)
      same(page.url(), w.base + want, at)
      await w.closeAll()
    }
  })

  check('7 j, k and Enter go through the tables of pages', async () => {
    for (const [at, to] of [['/ui/models', /\/ui\/models\/./], ['/ui/workflows', /\/ui\/workflows\/./], ['/ui/events', /\/ui\/events\/./]]) {
      const page = await w.open(at)
      await w.settled(page)
      const row = () => page.evaluate(() => [...document.querySelectorAll('main tbody tr')].filter(r => r.querySelector('a[href]')).findIndex(r => r.contains(document.activeElement)))
      const seen = []
      for (const key of ['j', 'j', 'k', 'k', 'k']) {
        await page.keyboard.press(key)
        seen.push(await row())
      }
      same(seen, [0, 1, 0, 0, 0], `rows of ${at}`)
      await page.keyboard.press('Enter')
      await page.waitForURL(to, { timeout: waitMillis })
      await w.closeAll()
    }
  })

  check('35 curves whose file did not come are asked for again', async () => {
    const page = await w.open('/ui/runs', { expected: ['plot.js', 'ERR_'] })
    await page.route('**/ui/plot.js*', r => r.abort(), { times: 1 })
    await page.goto(w.base + w.pages.outlier)
    await page.locator('.chart .fault').first().waitFor({ timeout: waitMillis })
    await page.locator('.chart').filter({ hasText: 'loss' }).getByRole('button', { name: 'Try again' }).click()
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    w.take()
  })

  check('35 pages of what is not there have their heading, and the way up', async () => {
    for (const at of ['models/none', 'models/none/1', `models/${w.model}/${w.version}?known_at=mlops-events/0@1`, 'features/none', `runs/${'0'.repeat(32)}`, 'workflows/none', 'workflows/runs/none', 'system/operations/none', 'films/none', 'people/none']) {
      const page = await w.open(`/ui/${at}`, { expected: ['404', '503'] })
      await page.locator('main .fault, main .empty').first().waitFor({ timeout: waitMillis })
      must((await page.locator('main h1').innerText()).trim() !== '' && await page.locator('main header nav a').count() > 0, `${at} has no heading, or no way up`)
      await w.closeAll()
    }
  })
}
