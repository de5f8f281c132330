// A shop of one page: routes, lists and goods all come by script, as petite-vue's users write them.
const hash = location.hash.startsWith("#/") || new URLSearchParams(location.search).has("hash");
const to = path => (hash ? "#" : "") + path;
const here = () => (hash ? location.hash.slice(1) || "/" : location.pathname);

document.getElementById("app").innerHTML = `
  <header><a :href="to('/')">山里人家</a>
    <nav><a v-for="c in categories" :href="to('/list/' + c.id + '/1')">{{ c.name }}</a></nav></header>
  <main v-if="view === 'list'">
    <h2>{{ name }}</h2>
    <ul class="goods-list">
      <li class="goods-card" v-for="g in goods" :key="g.id">
        <a :href="to('/goods/' + g.id)"><img :src="'/img/' + g.id + '.svg'" loading="lazy"><p>{{ g.title }}</p></a>
        <span class="price">¥{{ g.price }}</span>
      </li>
    </ul>
    <div class="pager" v-if="page < pages">
      <button v-if="category === 0" @click="more()">加载更多</button>
      <a v-else :href="to('/list/' + category + '/' + (page + 1))">下一页</a>
    </div>
  </main>
  <main v-if="view === 'goods'" class="goods-detail">
    <h1>{{ one.title }}</h1>
    <p class="price">¥{{ one.price }}</p><p v-if="one.was" class="old-price"><del>¥{{ one.was }}</del></p>
    <button @click="buy()">加入购物车</button>
    <table><tr v-for="(value, label) in one.particulars"><th>{{ label }}</th><td>{{ value }}</td></tr></table>
  </main>
  <footer>闽ICP备00000000号</footer>`;

const shop = PetiteVue.reactive({
  to, view: "", categories: [], goods: [], one: {}, name: "", category: 0, page: 1, pages: 1,
  buy() {},
  async ask(path) { return (await fetch("/api" + path)).json(); },
  async more() {
    const next = await this.ask("/list/0/" + ++this.page);
    this.goods = [...this.goods, ...next.goods];
  },
  async go() {
    const [, kind, id, page] = here().split("/");
    if (kind === "goods") {
      this.one = await this.ask("/goods/" + id);
      document.title = this.one.title + " - 山里人家";
      this.view = "goods";
    } else {
      this.category = +(id || 0); this.page = +(page || 1);
      Object.assign(this, await this.ask("/list/" + this.category + "/" + this.page));
      this.view = "list";
    }
  },
  async start() {
    addEventListener("hashchange", () => this.go());
    this.categories = await this.ask("/categories");
    await this.go();
  },
});
PetiteVue.createApp(shop).mount("#app");
shop.start();
