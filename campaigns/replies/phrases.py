"""How people say what they want, in six languages: tables of patterns over text in lower case with single blanks.

Every pattern of every language is tried on every reply: people write "stop" everywhere. None can take long: what may repeat
is bounded.
"""

from campaigns.replies.reply import Topic

LANGUAGES = ("en", "de", "fr", "es", "zh", "ja")

UNSUBSCRIBE = (
    # en
    r"\bunsubscri|\bopt(?:ing)?[ -]?(?:me )?out\b",
    r"\b(?:remove|take|delete|get|strike) (?:me|my (?:e-?mail ?)?address|my e-?mail|my name)\b.{0,30}\b(?:lists?|off|database)\b",
    r"\b(?:stop|quit|cease) (?:\w+ ){0,3}?(?:e-?mail(?:s|ing)?|mails?|mailing|spam(?:ming)?|newsletters?|contacting me|writing(?: to)? me)\b",
    r"\b(?:stop|quit|cease) sending (?:me )?(?:this|these|any|more|anything|stuff|things)\b",
    r"\bno (?:more|further) (?:\w+ )?(?:e-?mails?|mails?|newsletters?|messages?|advertis|marketing)",
    r"\b(?:n't|not|no longer)\b.{0,20}\b(?:want|wish|like|care)\b.{0,30}\b(?:e-?mails?|mails?|newsletters?|hear from)\b.{0,20}\b(?:any ?more|again|from)\b",
    r"\bno longer (?:want|wish)\b.{0,40}\b(?:e-?mails?|mails?|newsletters?|hear from)\b",
    r"\b(?:cancel|end) (?:my|the|this) (?:\w+ )?(?:subscription|newsletter)",
    # de
    r"\babmeld|\bmeld\w{0,3}\b.{0,40}\bab(?:\W*$|[.!,;]| und\b| bitte\b| danke\b)|\babbestell|\bbestell\w{0,2}\b.{0,40}newsletter.{0,20}\bab\b|\baustragen\b|\bkündig\w{0,3} .{0,20}newsletter",
    r"\bkeine? (?:weiteren? )?(?:e-?mails?|mails?|newsletter|werbung|nachrichten)\b.{0,30}\bmehr\b|\bkeine? (?:weitere[nr]? )(?:e-?mails?|mails?|newsletter|werbung)\b",
    r"\b(?:verteiler|liste)\b.{0,40}\b(?:nehmen|streichen|löschen|entfernen|raus|austragen)\b",
    r"\b(?:nehm\w{0,3}|streich\w{0,3}|lösch\w{0,3}|entfern\w{0,3}|trag\w{0,3})\b.{0,60}\b(?:verteiler|liste|datenbank)\b",
    r"\bhör\w{0,3}\b.{0,15}\bauf\b.{0,40}\b(?:e-?mails?|mails?|newsletter|werbung|anzuschreiben|zu schreiben)\b|\bwiderspr\w{2,6}\b.{0,60}\bwerb",
    # fr
    r"\bdés(?:inscri|abonn)|\bdesabonn|\bdesinscri",
    r"\bne (?:souhaite|veux|désire|voudrais) plus\b.{0,40}\b(?:e-?mails?|mails?|courriels?|newsletter|publicités?|messages?)\b",
    r"\bm[e'] ?(?:retirer|enlever|supprimer|rayer|effacer)\b",
    r"\b(?:retire|enleve|enlève|supprime|raye|efface)[zr]?[ -](?:moi\b|mon (?:nom|adresse|e-?mail|mail)\b(?! de livraison))",
    r"\b(?:arrête[zr]?|cesse[zr]?)\b.{0,50}\b(?:mails?|e-?mails?|courriels?|newsletters?|pub|publicités?|m'écrire)\b",
    r"\bplus de (?:mails?|e-?mails?|courriels?|newsletters?|pub\b|publicités?)|\bne m'écri\w{1,6} plus\b|\bne m'envo\w{1,6} plus (?:rien|de (?:mails?|e-?mails?|courriels?|pub))",
    r"\bm'oppose\b.{0,80}\b(?:prospection|données|publicit|marketing)",
    # es
    r"\bd(?:ar|en|e|é|ar)(?:me|nos)\b.{0,15}\bde baja\b|\bdar(?:se)? de baja\b|\bdesuscri|\bdesinscri|\bcancel\w{1,4}\b.{0,20}\b(?:suscripción|boletín|newsletter)",
    r"\b(?:no|ya no) (?:quiero|deseo|quisiera)\b.{0,30}\b(?:correos?|e-?mails?|mensajes?|publicidad|boletín)\b",
    r"\b(?:quít|elimín|bórr|sáqu)\w{1,4}me\b.{0,40}\b(?:listas?|base de datos|correo)\b",
    r"\b(?:quit|elimin|borr|saqu)\w{1,4} mi (?:dirección|correo|nombre)\b.{0,40}\b(?:listas?|base)\b",
    r"\bdej\w{1,3} de (?:escribir|(?:envi|mand).{0,30}\b(?:correos?|e-?mails?|mensajes?|publicidad|boletín|propaganda))",
    r"\bno me (?:env|mand|escrib)\w{1,5} más\b(?! (?!correos|mensajes|mails?|e-?mails?|publicidad)\w)|\bno más (?:correos?|e-?mails?|publicidad)|\bme opongo\b.{0,60}\b(?:datos|publicit)",
    # zh
    r"退订|取消.{0,4}订阅|取消订閱|退訂|取消訂閱|(?:不要|别|別|不想|勿|停止|不再).{0,6}(?:收到|接收|推送|打扰|打擾)",
    r"(?:不要|别|別|勿|停止|不再).{0,6}(?:发|發|寄)(?:送|来)?(?:邮件|郵件|广告|廣告|信息|信)?(?:了|[。.!,]|$)",
    r"(?:删除|刪除|移除|去掉|移出).{0,8}(?:邮箱|邮件|郵箱|郵件)|我.{0,3}(?:从|從).{0,10}(?:列表|名单|名單).{0,6}(?:删除|刪除|移除|去掉|移出)",
    # ja
    r"配信.{0,3}(?:停止|解除|中止|不要)|(?:メルマガ|購読|登録|メール|配信).{0,6}(?:解除|退会|停止|やめ|止め|辞め|キャンセル|不要|いりません|要りません)",
    r"(?:もう|今後)(?:は|、)?.{0,4}(?:メール|配信|案内|広告).{0,10}(?:いりません|要りません|不要|結構|送ら|受け取りた)|(?:メール|広告|案内).{0,10}(?:送ら|送信し)ないで",
    r"(?<!物)(?:リスト|名簿).{0,4}(?:から)?.{0,4}(?:削除|外し|除外)",
)  # fmt: skip

COMMANDS = (
    r"(?:please )?(?:stop|unsubscribe|remove|cancel|end|quit|arr[eê]t|d[ée]sabonnement|d[ée]sinscription|baja|cancelar|alto"
    r"|stopp|abmelden|abmeldung|abbestellen|austragen|td|退订|退訂|配信停止|解除|停止)(?: please| bitte| svp| por favor)?"
)
"""What says no more mail only where it is the whole reply, or the subject."""

CANNOT = (
    r"\b(?:can't|cannot|can not|could(?:n't| not)|unable to|doesn't|won't) (?:\w+ ){0,2}unsubscri",
    r"\bunsubscri.{0,40}\b(?:not work|n't work|broken|nothing|fail)|\bkann (?:ich )?mich (?:leider )?nicht ab",
    r"\b(?:n'arrive|peux|impossible)\b.{0,15}\b(?:dés|des)(?:inscri|abonn)|\bno puedo dar",
    r"(?:无法|不能|没法|無法).{0,3}退|(?:配信停止|解除|退会)が?(?:でき|出来)",
)
"""Somebody who wants to leave and could not."""

STAY = (
    r"\b(?:do|did|does|would|will|wo|should|must|please)(?:n't| not)\b(?: \w+){0,3} unsubscri|\bnever unsubscri",
    r"\b(?:got|received) no (?:more|further)\b|\bhabe? (?:\w+ ){0,3}keine .{0,60}\b(?:bekommen|erhalten)\b",
    r"\bnicht (?:vom newsletter )?ab(?:melden|gemeldet|bestellen|bestellt)",
    r"\bne (?:me |m')?dés(?:inscri|abonn)\w{0,6}\b.{0,5}\bpas\b|\bne (?:veux|souhaite|voudrais) pas\b.{0,10}\bdés",
    r"\bno (?:me |nos )?d(?:en|e|é)\b.{0,5}\bde baja|\bno (?:quiero|deseo) dar",
    r"(?:不要|别|別|不想|不用|没有|没)(?:给我|帮我|替我)?(?:退订|取消订阅|退訂)",
    r"(?:配信停止|解除|退会|停止)は?(?:し|しない|しません|せず|不要)",
)
"""Somebody who does not want to leave."""

COMPLAINT = (
    # en
    r"\b(?:disappoint|annoy|angry|furious|unacceptable|terrible|awful|horrible|disgrace|outrage|appalling|dreadful|useless|rip-?off|scam|fraud)",
    r"\b(?:broken|torn|ripped|damaged|defective|faulty|fell apart|poor quality|wrong (?:size|item|colou?r|product|order)|money back)\b",
    r"\b(?:complain|complaint)|\bnever (?:signed up|subscribed|registered|arrived|came|received)|\b(?:still|has|have) not (?:arrived|received)",
    r"\b(?:stopped|not|n't) work(?:ing|s)?\b.{0,20}\b(?:after|days?|weeks?)|\bwaiting\b.{0,20}\b(?:weeks?|months?)|\blost\b.{0,10}\bagain|\bparcel got lost|\ba joke\b",
    # de
    r"enttäusch|unverschämt|ärger|\bwütend|\bsauer\b|katastroph|frechheit|unmöglich\b|beschwer|reklam|betrug|abzocke|\bmangelhaft",
    r"\b(?:kaputt|defekt|beschädigt|zerrissen|gerissen)\b|\bgeld zurück|\bfalsche[nrs]? (?:größe|artikel|ware|farbe|produkt)|\bso geht das nicht|\bnie wieder\b",
    r"\bnie (?:angemeldet|registriert|angekommen|bestellt)|\b(?:immer )?noch nicht (?:angekommen|da|erhalten)|\bschlechte[rs]? (?:qualität|service)|\bwarte\w? (?:ich )?(?:schon )?seit\b|\bseit \w+ (?:wochen|monaten) warte",
    # fr
    r"\bdéçu|inadmissible|inacceptable|scandal|\bhont|mécontent|réclamation|plainte|\barnaque|\bnul(?:le)?\b|\bhorrible|\bcatastroph|\bfâché",
    r"\b(?:cassée?s?|déchirée?s?|abîmée?s?|défectueu)|\bremboursée?\b|\bmauvais(?:e)? (?:taille|article|couleur|qualité|produit)|\bmarche plus\b|\bfonctionne plus\b",
    r"\bjamais (?:inscrit|arrivé|reçu|abonné|demandé)|\battends\b.{0,40}\b(?:depuis|mois|semaines?)|\btoujours pas (?:reçu|arrivé)",
    # es
    r"decepcion|inaceptable|vergüenza|pésim|\bhorrible|descontent|reclamaci|\bqueja|\bestafa|\bterrible|indignad|enfadad|molest",
    r"\b(?:roto|rota|rotos|rotas|dañad|defectuos)|\bdevuelvan el dinero|\bequivocad|\bmala calidad|\bno funciona\b.{0,20}\b(?:después|días|semanas)",
    r"\bnunca (?:me )?(?:suscrib|registr|llegó|recib|pedí)|\bllevo\b.{0,20}\b(?:mes|semana|día)\w{0,2}\b.{0,10}\besperando|\btodavía no (?:ha llegado|recib)",
    # zh
    r"失望|过分|過分|太差|很差|差劲|投诉|投訴|骗子|骗人|騙|生气|生氣|不满|不滿|垃圾|糟糕|恶心|坑人|差评|气死",
    r"坏了|破的|破了|壞了|损坏|瑕疵|(?:发|發)错|质量(?:太|很|真)?差|从来没有?订阅|没收到|没有收到|一直没|等了.{0,6}(?:月|周|星期)|没人理",
    # ja
    r"残念|ひど[いかく]|酷い|許せ|クレーム|不満|最悪|いい加減|怒|がっかり|苦情|詐欺|困って|不快",
    r"破れ|壊れ|不良品|間違え|間違って|違う(?:商品|サイズ|色)|返金して|品質が悪|(?:まだ|未だ|いまだ).{0,4}届(?:き|か|い)|登録した覚え|待って(?:い|も)",
)  # fmt: skip

TOPICS: tuple[tuple[Topic, str], ...] = (
    (
        Topic.PAYMENT,
        r"\binvoice|\breceipt\b|\bpay(?:ment|ing|pal)?\b|\b(?:discount|promo|coupon|voucher)|\brechnung|\bzahl(?:ung|en)|gutschein|rabatt"
        r"|\bfactur|\bpaiement|\bcode promo|\bréduction|\bpago\b|\bcupón|\bdescuento|发票|付款|支付|优惠|折扣|領収書|請求書|支払|クーポン|割引",
    ),
    (
        Topic.RETURN,
        r"\breturn|\brefund|\bexchange|send (?:it|them|this) back|rückgabe|zurück(?:schick|send|geb)|umtausch|erstatt|\bretour|\bremboursement|\béchang"
        r"|\bdevol|\breembols|\bcambio\b|退货|退貨|退款|换货|返品|返金|交換",
    ),
    (Topic.SIZE, r"\bsiz(?:e|es|ing)\b|\bgröße|\btaille|\btallas?\b|尺码|尺寸|\d码|サイズ"),
    (
        Topic.STOCK,
        r"\bin stock|\bavailable|\bsold out|\brestock|back in\b|vorrätig|lieferbar|verfügbar|ausverkauft|\bdisponible|\brupture|en stock"
        r"|\bagotad|有货|缺货|库存|补货|在庫|再入荷|品切れ",
    ),
    (
        Topic.DELIVERY,
        r"\barriv|\bdeliver|\bship|\bparcel|\bpackage|\btracking|\blieferung|\bversand|\bpaket|\bankomm|\bkommt\b.{0,30}\bbestellung|sendung"
        r"|\blivr|\bcolis|\benvío|\benvia|\bpaquete|\bllega|\bentrega|什么时候到|到货|发货|快递|物流|包裹|寄到|配送|届|荷物|発送",
    ),
    (
        Topic.ORDER,
        r"\b(?:change|cancel|modify|amend)\b.{0,20}\border|\border\b|\bbestellung|\bcommande|\bpedido|订单|訂單|注文",
    ),
    (
        Topic.PRODUCT,
        r"\bmade of|\bmaterial|\bfabric|\bwash|\bcolou?r|\bwool|\bcotton|\bstoff\b|\bfarbe|\bmatière|\bcouleur|\btissu|\btela\b|\bcolor\b"
        r"|材质|面料|颜色|素材|生地|色",
    ),
)
"""What a question is about: the first that is found. Coupons are paid with, and sizes are in stock, so these go first."""

PRAISE = (
    r"\b(?:love|loved|lovely|great|excellent|perfect|wonderful|beautiful|fantastic|amazing|awesome|happy|delighted|pleased|gorgeous|five stars|thank you so much|superb)\b",
    r"\b(?:wunderschön|super|toll\w{0,2}|bestens|begeistert|zufrieden|ausgezeichnet\w{0,2}|perfekt|klasse|prima|hervorragend\w{0,2}|gerne wieder|spitze|schön)\b",
    r"\b(?:magnifique|parfaite?|super|ravie?|adore|excellente?|satisfaite?|génial\w{0,2}|recommande|bravo|sublime|contente?)\b",
    r"\b(?:precios[oa]|perfect[oa]|excelente|encantad[oa]|me encanta\w?|content[oa]|genial|maravillos[oa]|buena calidad|fantástic[oa])\b",
    r"漂亮|很好|完美|喜欢|喜歡|满意|滿意|都爱|太棒|很棒|好评|不错|不錯|点赞|惊喜",
    r"素敵|素晴らし|良かった|良く|完璧|気に入|大好き|満足|嬉し|最高|感謝",
)  # fmt: skip

ASKS = (
    r"[?\uff1f]|吗\b|吗[。!]?$|嗎|呢[。!]?$|请问|請問|想问|什么时候|怎么|多久|能否",
    r"(?:です|ます|でしょう|ません)か|教えて|知りたい|いつ|どこ|いくら|どう(?:すれば|したら)",
    r"^(?:hi|hello|hey|dear \w+)?[,!. ]{0,3}(?:when|where|what|which|how|who|why|can|could|do|does|is|are|will|would|may) ",
    r"\b(?:i'd like to know|i would like to know|i wonder|wondering|let me know|could you|can you|please tell me)\b",
    r"\b(?:ich wüsste gern|können sie|könnten sie|möchte (?:gern )?wissen|würde gerne? wissen|sagen sie mir)\b",
    r"\b(?:je voudrais savoir|j'aimerais savoir|pouvez-vous|pourriez-vous|est-ce que|dites-moi|puis-je|peut-on)\b",
    r"¿|\b(?:me gustaría saber|quisiera saber|podrían|pueden decirme|díganme)\b",
)
"""How a question is put."""

COMMON_WORDS = {
    "en": "the and to you is my of for this it please have not i me your with we are was be on don",
    "de": "und der die das ich sie nicht ist bitte mich mit den es ein von für mein meine zu auf wir ihr",
    "fr": "le la les et je vous pas est de des une un mon ma pour merci plus ne en ce que du sur j",
    "es": "el la los las y que no por favor mi me su del una para con muy gracias ya quiero de es en lo se al está estoy",
}
"""The commonest words of languages with blanks, by which a text is told to be in one."""

LETTERS = {"de": "äöüß", "fr": "àâçèêëîïôœùû", "es": "¡¿ñáíó"}
"""Letters that only one of them has; each counts as a word."""
