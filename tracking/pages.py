# ruff: noqa: RUF001 (Chinese and Japanese punctuation is meant)
"""The few pages a reader may see, in their language, each with the headers every answer carries."""

import base64
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from html import escape

from fastapi.responses import HTMLResponse

STYLE = """
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f6f4ef;color:#23302a;
font:17px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Noto Sans CJK SC",sans-serif}
main{box-sizing:border-box;max-width:26rem;margin:1rem;padding:2.5rem 2rem;background:#fff;border-radius:14px;
box-shadow:0 1px 3px #0002;text-align:center}
h1{margin:0 0 .6rem;font-size:1.35rem;line-height:1.3}
p{margin:0}
button{margin-top:1.6rem;padding:.75rem 1.6rem;border:0;border-radius:9px;background:#1f5f43;color:#fff;font:inherit;
font-weight:600;cursor:pointer}
button:focus-visible{outline:3px solid #8cc7a9;outline-offset:2px}
p+p,p+form{margin-top:1rem}
.else{margin-top:1.4rem}
a{color:inherit}
.saved{padding:.7rem 1rem;border-radius:9px;background:#e3f1e9}
fieldset{margin:1.4rem 0 0;padding:0;border:0;text-align:start}
legend{padding:0;font-weight:600}
label{display:flex;gap:.7rem;align-items:center;min-height:44px;padding:.25rem 0}
label span{overflow-wrap:anywhere}
input{flex:none;width:1.25rem;height:1.25rem;margin:0;accent-color:#1f5f43}
.language{flex-wrap:wrap;margin-top:1.2rem;font-weight:600}
select{min-height:44px;padding:.4rem .6rem;border:1px solid #8a958f;border-radius:9px;background:transparent;color:inherit;
font:inherit;font-weight:400}
.stop{margin-top:2.2rem;padding-top:1.4rem;border-top:1px solid #d8ddd9}
.stop button{margin-top:.9rem;background:transparent;color:inherit;box-shadow:inset 0 0 0 1px #8a958f}
@media(prefers-color-scheme:dark){body{background:#161b18;color:#e6ebe7}main{background:#212824}
button{background:#3d9a70;color:#08130d}.saved{background:#2c4236}select option{background:#212824}
input{accent-color:#3d9a70}.stop{border-color:#3a443e}}
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the shop a click leads to must not learn the token
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
ONE_CLICK_FIELD, ONE_CLICK_VALUE = "List-Unsubscribe", "One-Click"  # RFC 8058, section 3.2
LANGUAGES = {"ar": "ar", "de": "de", "en": "en", "es": "es", "fr": "fr", "ja": "ja", "zh": "zh-Hans"}
RIGHT_TO_LEFT = {"ar"}


class Page(StrEnum):
    """What a page tells."""

    ASK = "ask"
    DONE = "done"
    LATER = "later"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    STARS = "stars"
    THANKS = "thanks"


# page -> language -> (heading, sentence); {shop} is the sender's name, {stars} what the reader chose
TEXTS: Mapping[Page, Mapping[str, tuple[str, str]]] = {
    Page.ASK: {
        "en": ("Unsubscribe?", "{shop} will send you no more e-mail."),
        "de": ("Abmelden?", "{shop} schickt Ihnen dann keine E-Mails mehr."),
        "zh": ("确定退订吗？", "退订后，{shop} 不再给您发送邮件。"),
        "fr": ("Se désabonner ?", "{shop} ne vous enverra plus d’e-mails."),
        "es": ("¿Darse de baja?", "{shop} no te enviará más correos."),
        "ja": ("配信を停止しますか？", "停止すると、{shop}からメールは届かなくなります。"),
        "ar": ("إلغاء الاشتراك؟", "لن يرسل إليكم {shop} رسائل بعد ذلك."),
    },
    Page.DONE: {
        "en": ("You are unsubscribed", "{shop} will send you no more e-mail."),
        "de": ("Sie sind abgemeldet", "{shop} schickt Ihnen keine E-Mails mehr."),
        "zh": ("您已退订", "{shop} 不再给您发送邮件。"),
        "fr": ("Vous êtes désabonné", "{shop} ne vous enverra plus d’e-mails."),
        "es": ("Te has dado de baja", "{shop} no te enviará más correos."),
        "ja": ("配信を停止しました", "{shop}からメールは届かなくなります。"),
        "ar": ("أُلغي اشتراككم", "لن يرسل إليكم {shop} رسائل بعد الآن."),
    },
    Page.LATER: {
        "en": ("Not done yet", "We could not do this just now; please try again in a minute."),
        "de": (
            "Noch nicht erledigt",
            "Das ging gerade nicht; bitte versuchen Sie es in einer Minute erneut.",
        ),
        "zh": ("尚未完成", "暂时无法处理，请一分钟后再试。"),
        "fr": (
            "Pas encore fait",
            "Cela n’a pas fonctionné pour l’instant ; veuillez réessayer dans une minute.",
        ),
        "es": ("Aún no está hecho", "Ahora mismo no ha sido posible; inténtalo de nuevo en un minuto."),
        "ja": ("まだ完了していません", "ただいま処理できませんでした。1分ほど後にもう一度お試しください。"),
        "ar": ("لم يتم بعد", "تعذر ذلك الآن، يرجى المحاولة من جديد بعد دقيقة."),
    },
    Page.UNKNOWN: {
        "en": ("Nothing here", "This link is incomplete or not one of ours."),
        "de": ("Hier ist nichts", "Dieser Link ist unvollständig oder nicht von uns."),
        "zh": ("没有找到", "此链接不完整，或并非由我们发出。"),
        "fr": ("Rien ici", "Ce lien est incomplet ou ne vient pas de nous."),
        "es": ("Aquí no hay nada", "Este enlace está incompleto o no es nuestro."),
        "ja": ("ページが見つかりません", "このリンクは不完全か、当店が発行したものではありません。"),
        "ar": ("لا شيء هنا", "هذا الرابط غير كامل أو ليس منا."),
    },
    Page.WRONG: {
        "en": ("Not understood", "This request is not one we can answer; please use the link in the mail."),
        "de": (
            "Nicht verstanden",
            "Diese Anfrage verstehen wir nicht; bitte nutzen Sie den Link in der E-Mail.",
        ),
        "zh": ("无法理解", "无法处理此请求，请使用邮件中的链接。"),
        "fr": (
            "Demande non comprise",
            "Nous ne pouvons pas traiter cette demande ; veuillez utiliser le lien de l’e-mail.",
        ),
        "es": ("No lo hemos entendido", "No podemos atender esta petición; usa el enlace del correo."),
        "ja": ("処理できません", "このご要望にはお応えできません。メール内のリンクをご利用ください。"),
        "ar": ("لم نفهم الطلب", "لا يمكننا تلبية هذا الطلب، يرجى استخدام الرابط في الرسالة."),
    },
    Page.STARS: {
        "en": ("{stars}", "Is this your answer about your order?"),
        "de": ("{stars}", "Ist das Ihre Antwort zu Ihrer Bestellung?"),
        "zh": ("{stars}", "这是您对订单的评价吗？"),
        "fr": ("{stars}", "Est-ce votre réponse au sujet de votre commande ?"),
        "es": ("{stars}", "¿Es esta tu respuesta sobre tu pedido?"),
        "ja": ("{stars}", "ご注文へのご回答は、こちらでよろしいですか？"),
        "ar": ("{stars}", "هل هذه إجابتكم عن طلبكم؟"),
    },
    Page.THANKS: {
        "en": ("Thank you", "{shop} has your answer: {stars}"),
        "de": ("Danke", "{shop} hat Ihre Antwort: {stars}"),
        "zh": ("谢谢您", "{shop} 已收到您的评价：{stars}"),
        "fr": ("Merci", "{shop} a bien reçu votre réponse : {stars}"),
        "es": ("Gracias", "{shop} ha recibido tu respuesta: {stars}"),
        "ja": ("ありがとうございます", "{shop}にご回答が届きました：{stars}"),
        "ar": ("شكرًا لكم", "وصلت إجابتكم إلى {shop}: {stars}"),
    },
}
BUTTON = {
    "ar": "إلغاء الاشتراك",
    "de": "Abmelden",
    "en": "Unsubscribe",
    "es": "Darse de baja",
    "fr": "Se désabonner",
    "ja": "配信を停止する",
    "zh": "退订",
}
SEND_ANSWER = {
    "ar": "إرسال",
    "de": "Absenden",
    "en": "Send",
    "es": "Enviar",
    "fr": "Envoyer",
    "ja": "送信する",
    "zh": "提交",
}
CHOOSE = {
    "ar": "أو اختاروا ما يصلكم",
    "de": "Oder auswählen, was kommt",
    "en": "Or choose what you get",
    "es": "O elige lo que recibes",
    "fr": "Ou choisissez ce que vous recevez",
    "ja": "または、受け取るメールを選ぶ",
    "zh": "或者选择要接收的邮件",
}
NO_SENDER = {
    "ar": "المتجر",
    "de": "Der Shop",
    "en": "The shop",
    "es": "La tienda",
    "fr": "La boutique",
    "ja": "当店",
    "zh": "商店",
}


def page(
    kind: Page,
    accept_language: str,
    *,
    status: int,
    shop: str = "",
    stars: int = 0,
    token: str = "",
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page in the best of our languages, without script, image or cookie, or anything from the request but its token."""
    language = language_of(accept_language)
    heading, sentence = TEXTS[kind][language]
    chosen = "★" * stars + "☆" * (5 - stars)
    heading = heading.format(stars=chosen)
    sentence = sentence.format(shop=shop or NO_SENDER[language], stars=chosen)
    form = ""
    if kind is Page.ASK:
        form = (
            f'<form method="post"><input type="hidden" name="{ONE_CLICK_FIELD}" value="{ONE_CLICK_VALUE}">'
            f"<button>{escape(BUTTON[language])}</button></form>"
            f'<p class="else"><a href="../p/{escape(token)}">{escape(CHOOSE[language])}</a></p>'
        )
    if kind is Page.STARS:
        form = f'<form method="post"><button>{escape(SEND_ANSWER[language])}</button></form>'
    return document(language, heading, f"<p>{escape(sentence)}</p>{form}", status=status, headers=headers)


def document(
    language: str, heading: str, content: str, *, status: int, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a page of a heading (text) and what stands below it (HTML), with the headers every answer carries."""
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    body = (
        f'<!doctype html><html lang="{LANGUAGES[language]}" dir="{direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(heading)}</h1>{content}</main></body></html>"
    )
    return HTMLResponse(body, status, {**SECURITY_HEADERS, "Vary": "Accept-Language", **(headers or {})})


def language_of(accept_language: str) -> str:
    """Return the one of our languages that an Accept-Language header (RFC 9110, 12.5.4) likes best, else `en`.

    >>> language_of("pt-BR, de;q=0.8, en;q=0.7")
    'de'
    """
    wishes = []
    for position, part in enumerate(accept_language.split(",")):
        name, _, weight = part.partition(";")
        language = name.strip().lower().split("-")[0]
        quality = _quality(weight)
        if language in LANGUAGES and quality > 0:
            wishes.append((-quality, position, language))
    return min(wishes)[2] if wishes else "en"


def _quality(weight: str) -> float:
    name, _, number = weight.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(number)
    except ValueError:
        return 0.0
