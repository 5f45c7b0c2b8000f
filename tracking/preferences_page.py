# ruff: noqa: RUF001 (Chinese and Japanese punctuation is meant)
"""The page where a reader says what she wants to get, how often and in which language; it works without a script."""

from collections.abc import Mapping
from html import escape

from babel import Locale
from fastapi.responses import HTMLResponse

from core.dates import day_text
from core.preferences import MailKind
from tracking.pages import BUTTON, LANGUAGES, NO_SENDER, ONE_CLICK_FIELD, ONE_CLICK_VALUE, document
from tracking.preferences import SAVE_FIELD, SAVE_VALUE, Preferences

OWN_NAMES = {
    "ar": "العربية",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "ja": "日本語",
    "zh": "简体中文",
}


def preferences_page(
    held: Preferences, language: str, *, shop: str, token: str, is_saved: bool
) -> HTMLResponse:
    """Return the page: whose mail, what was saved, the form, the button that stops all mail.

    Parameters
    ----------
    language
        One of `LANGUAGES`: what the reader chose for her mails, else what her browser asks for.
    token
        Of the unsubscribe link, which the last button goes to.
    """
    say, shop = WORDS[language], f"<bdi>{escape(shop or NO_SENDER[language])}</bdi>"
    parts = [f'<p><bdi dir="ltr">{escape(held.masked_address)}</bdi></p>'] if held.masked_address else []
    if held.is_stopped:
        parts.append(f"<p>{say['stopped'].format(shop=shop)}</p>")
    else:
        if is_saved:
            parts.append(f'<p class="saved" role="status">{say["saved"]}</p>')
        parts += [_form(held, language, shop), _stop_form(language, token)]
    return document(language, say["heading"], "".join(parts), status=200)


def _form(held: Preferences, language: str, shop: str) -> str:
    say, pause = WORDS[language], WORDS[language]["pause"]
    if held.paused_until:
        day = day_text(held.paused_until, Locale.parse(LANGUAGES[language], sep="-"))
        pause = say["paused"].format(day=day)
    kinds = [
        _choice("checkbox", kind, "on", text, is_chosen=kind not in held.kinds_off)
        for kind, text in KINDS[language].items()
    ]
    paces = [
        _choice("radio", "pace", "usual", say["usual"], is_chosen=not held.is_rarely),
        _choice("radio", "pace", "rarely", say["rarely"], is_chosen=held.is_rarely),
        _choice("checkbox", "pause", "on", pause, is_chosen=held.paused_until is not None),
    ]
    names = {"": say["as_before"], **OWN_NAMES}
    languages = [
        f'<option value="{code}"{" selected" * (code == (held.locale or ""))}>{name}</option>'
        for code, name in names.items()
    ]
    return (
        f'<form method="post"><input type="hidden" name="{SAVE_FIELD}" value="{SAVE_VALUE}">'
        f"<fieldset><legend>{say['kinds'].format(shop=shop)}</legend>{''.join(kinds)}</fieldset>"
        f"<fieldset><legend>{say['pace']}</legend>{''.join(paces)}</fieldset>"
        f'<label class="language">{say["language"]} <select name="locale">{"".join(languages)}</select></label>'
        f"<button>{say['save']}</button></form>"
    )


def _choice(kind: str, name: str, value: str, text: str, *, is_chosen: bool) -> str:
    checked = " checked" * is_chosen
    return f'<label><input type="{kind}" name="{name}" value="{value}"{checked}><span>{text}</span></label>'


def _stop_form(language: str, token: str) -> str:
    return (
        f'<form method="post" action="../u/{escape(token)}" class="stop">'
        f'<input type="hidden" name="{ONE_CLICK_FIELD}" value="{ONE_CLICK_VALUE}">'
        f"<p>{WORDS[language]['all']}</p><button>{escape(BUTTON[language])}</button></form>"
    )


WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "heading": "What would you like to get?",
        "kinds": "{shop} may send me",
        "pace": "How often",
        "usual": "As usual: a few mails a week at most",
        "rarely": "Less often: one mail a week at most",
        "pause": "Pause everything for 30 days",
        "paused": "Pause until {day}",
        "language": "Language of the mails",
        "as_before": "as before",
        "save": "Save",
        "saved": "Saved. It holds from now on.",
        "all": "Or no mail at all:",
        "stopped": "{shop} sends you no more e-mail. To get mail again, agree anew in the shop.",
    },
    "de": {
        "heading": "Was möchten Sie bekommen?",
        "kinds": "{shop} darf mir schicken",
        "pace": "Wie oft",
        "usual": "Wie bisher: höchstens einige E-Mails pro Woche",
        "rarely": "Seltener: höchstens eine E-Mail pro Woche",
        "pause": "30 Tage Pause von allem",
        "paused": "Pause bis {day}",
        "language": "Sprache der E-Mails",
        "as_before": "wie bisher",
        "save": "Speichern",
        "saved": "Gespeichert. Es gilt ab jetzt.",
        "all": "Oder gar keine E-Mails:",
        "stopped": "{shop} schickt Ihnen keine E-Mails mehr. Wenn Sie wieder welche möchten, stimmen Sie im Shop neu zu.",
    },
    "fr": {
        "heading": "Que souhaitez-vous recevoir ?",
        "kinds": "{shop} peut m’envoyer",
        "pace": "À quelle fréquence",
        "usual": "Comme d’habitude : quelques e-mails par semaine au plus",
        "rarely": "Moins souvent : un e-mail par semaine au plus",
        "pause": "Tout suspendre pendant 30 jours",
        "paused": "Suspendre jusqu’au {day}",
        "language": "Langue des e-mails",
        "as_before": "comme avant",
        "save": "Enregistrer",
        "saved": "C’est enregistré et valable dès maintenant.",
        "all": "Ou plus aucun e-mail :",
        "stopped": "{shop} ne vous envoie plus d’e-mails. Pour en recevoir à nouveau, donnez votre accord dans la boutique.",
    },
    "es": {
        "heading": "¿Qué te gustaría recibir?",
        "kinds": "{shop} puede enviarme",
        "pace": "Con qué frecuencia",
        "usual": "Como siempre: unos pocos correos a la semana como máximo",
        "rarely": "Menos: un correo a la semana como máximo",
        "pause": "Pausarlo todo durante 30 días",
        "paused": "Pausar hasta el {day}",
        "language": "Idioma de los correos",
        "as_before": "como hasta ahora",
        "save": "Guardar",
        "saved": "Guardado. Vale desde ahora.",
        "all": "O ningún correo:",
        "stopped": "{shop} ya no te envía correos. Para volver a recibirlos, acéptalo de nuevo en la tienda.",
    },
    "ja": {
        "heading": "どのようなメールをご希望ですか？",
        "kinds": "{shop}から受け取るメール",
        "pace": "お届けの頻度",
        "usual": "これまでどおり（多くても週に数通）",
        "rarely": "少なめ（多くても週に1通）",
        "pause": "すべてのメールを30日間休止する",
        "paused": "{day}まで休止する",
        "language": "メールの言語",
        "as_before": "これまでどおり",
        "save": "保存する",
        "saved": "保存しました。ただいまから有効です。",
        "all": "すべてのメールを停止する場合：",
        "stopped": "{shop}からのメールは停止しています。再び受け取るには、お店で改めて同意してください。",
    },
    "zh": {
        "heading": "您想收到哪些邮件？",
        "kinds": "{shop} 可以给我发送",
        "pace": "发送频率",
        "usual": "照常：每周最多几封",
        "rarely": "少一些：每周最多一封",
        "pause": "全部暂停 30 天",
        "paused": "暂停至{day}",
        "language": "邮件语言",
        "as_before": "与之前相同",
        "save": "保存",
        "saved": "已保存，即刻生效。",
        "all": "或者不再接收任何邮件：",
        "stopped": "{shop} 不再给您发送邮件。如想重新接收，请在商店中再次同意。",
    },
    "ar": {
        "heading": "ماذا تودون أن يصلكم؟",
        "kinds": "يمكن أن يرسل إليّ {shop}",
        "pace": "كم مرة",
        "usual": "كالمعتاد: بضع رسائل في الأسبوع على الأكثر",
        "rarely": "أقل: رسالة واحدة في الأسبوع على الأكثر",
        "pause": "إيقاف كل الرسائل مدة 30 يومًا",
        "paused": "إيقاف حتى {day}",
        "language": "لغة الرسائل",
        "as_before": "كما كانت",
        "save": "حفظ",
        "saved": "تم الحفظ، ويسري من الآن.",
        "all": "أو لا رسائل إطلاقًا:",
        "stopped": "لا يرسل إليكم {shop} رسائل بعد الآن. لتصلكم من جديد، وافقوا مرة أخرى في المتجر.",
    },
}

KINDS: Mapping[str, Mapping[MailKind, str]] = {
    "en": {
        MailKind.REMINDERS: "Reminders of what I looked at or left in the cart",
        MailKind.ALERTS: "News of products I wanted: back in stock, cheaper, nearly sold out",
        MailKind.ORDERS: "Tips and questions about my orders",
        MailKind.SUGGESTIONS: "Suggestions picked for me",
        MailKind.OFFERS: "Offers and coupons",
        MailKind.GREETINGS: "Welcome, greetings and word from the shop",
    },
    "de": {
        MailKind.REMINDERS: "Erinnerungen an Angesehenes und an meinen Warenkorb",
        MailKind.ALERTS: "Nachrichten zu gewünschten Produkten: wieder da, günstiger, fast ausverkauft",
        MailKind.ORDERS: "Tipps und Fragen zu meinen Bestellungen",
        MailKind.SUGGESTIONS: "Für mich ausgesuchte Vorschläge",
        MailKind.OFFERS: "Angebote und Gutscheine",
        MailKind.GREETINGS: "Willkommen, Grüße und Neues vom Shop",
    },
    "fr": {
        MailKind.REMINDERS: "Des rappels de ce que j’ai regardé ou laissé dans le panier",
        MailKind.ALERTS: "Des nouvelles des produits voulus : de retour, moins chers, bientôt épuisés",
        MailKind.ORDERS: "Des conseils et des questions sur mes commandes",
        MailKind.SUGGESTIONS: "Des suggestions choisies pour moi",
        MailKind.OFFERS: "Des offres et des bons de réduction",
        MailKind.GREETINGS: "La bienvenue, des vœux et des nouvelles de la boutique",
    },
    "es": {
        MailKind.REMINDERS: "Recordatorios de lo que miré o dejé en el carrito",
        MailKind.ALERTS: "Novedades de productos que quería: de vuelta, más baratos, casi agotados",
        MailKind.ORDERS: "Consejos y preguntas sobre mis pedidos",
        MailKind.SUGGESTIONS: "Sugerencias elegidas para mí",
        MailKind.OFFERS: "Ofertas y cupones",
        MailKind.GREETINGS: "Bienvenida, felicitaciones y noticias de la tienda",
    },
    "ja": {
        MailKind.REMINDERS: "閲覧した商品やカートに残した商品のお知らせ",
        MailKind.ALERTS: "ご希望の商品の再入荷・値下げ・残りわずかのお知らせ",
        MailKind.ORDERS: "ご注文に関するヒントやアンケート",
        MailKind.SUGGESTIONS: "お好みに合わせたおすすめ",
        MailKind.OFFERS: "特典・クーポン",
        MailKind.GREETINGS: "ごあいさつとお店からのお便り",
    },
    "zh": {
        MailKind.REMINDERS: "浏览过或留在购物车中的商品提醒",
        MailKind.ALERTS: "想要的商品的消息：到货、降价、即将售罄",
        MailKind.ORDERS: "与订单有关的小贴士和问卷",
        MailKind.SUGGESTIONS: "为我挑选的推荐",
        MailKind.OFFERS: "优惠和优惠券",
        MailKind.GREETINGS: "欢迎、祝福和商店来信",
    },
    "ar": {
        MailKind.REMINDERS: "تذكير بما شاهدته أو تركته في السلة",
        MailKind.ALERTS: "أخبار منتجات أردتها: عادت، أرخص، أوشكت على النفاد",
        MailKind.ORDERS: "نصائح وأسئلة عن طلباتي",
        MailKind.SUGGESTIONS: "اقتراحات مختارة لي",
        MailKind.OFFERS: "عروض وقسائم",
        MailKind.GREETINGS: "ترحيب وتهانٍ وأخبار من المتجر",
    },
}
"""Language → kind → what the page calls it, in the order in which it lists them."""
