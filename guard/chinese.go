package guard

// Chinese is the word for one of a family of golive's names in Chinese: a "role", a "scenario" (also those of Classes), a
// "due" or its "standing". Messages, reports and the document of a plan take it from here, so that one thing has one name.
// Empty: there is none, and the name stands as it is.
func Chinese(family, name string) string { return inChinese[family][name] }

var inChinese = map[string]map[string]string{
	"role": {
		"commander": "总指挥", "deputy": "副总指挥", "on_duty": "值班人员", "technical_lead": "技术负责人", "comms": "信息发布人", "scribe": "记录员",
		"executive": "公司领导", "business": "业务负责人", "customer": "客户", "management": "管理层", "everyone": "全体人员", "vendor": "供应商", "team": "团队",
		"data_recovery": "数据恢复", "network": "网络", "test": "测试", "project_office": "项目办公室",
	},
	"scenario": {
		"bad_release": "版本缺陷", "crash": "系统崩溃", "network": "网络故障", "hardware": "硬件故障", "data_loss": "数据丢失", "data_leak": "数据泄露",
		"vulnerability": "安全漏洞", "attack": "网络攻击", "operator_error": "操作失误", "vendor_outage": "供应商故障",
	},
	"due": {
		string(DueActivate): "启动应急响应", string(DueContain): "控制影响范围", string(DueReport): "首次报告", string(DueUpdate): "进展通报",
		string(DueVendor): "通知供应商和客户", string(DueRecover): "恢复服务", string(DueNotice): "发布恢复通知", string(DueFiled): "提交处置报告",
		string(DueLearned): "落实改进措施",
	},
	"standing": {"open": "未完成", "met": "按时完成", "met late": "逾期完成", "breached": "已逾期", "waived": "已豁免"},
}
