package judge
import ("testing";"os";"path/filepath";"compress/gzip";"encoding/json";"sort")
func TestScoreAll(t *testing.T){
	dir:="/work/shared/data/experiments"
	fs,_:=filepath.Glob(dir+"/*.gz"); sort.Strings(fs)
	o,_:=os.Create("/tmp/replay/dec.jsonl"); defer o.Close()
	for _,f:=range fs{
		fh,_:=os.Open(f); z,_:=gzip.NewReader(fh)
		r,err:=ReadRecording(z); if err!=nil{t.Fatal(f,err)}
		d,err:=Replay(r,Config{}); if err!=nil{t.Fatal(f,err)}
		json.NewEncoder(o).Encode(d); fh.Close()
	}
}
